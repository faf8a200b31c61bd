"""Clean events with their payload as text: `layout: raw`.

Lives here: no typing at all. A payload that is no UTF-8 cannot be text; it stands in `_raw` as it would elsewhere.
"""

from collections.abc import Sequence

import pyarrow as pa

from sinks.rows import salvage, system
from sinks.rows.system import PAYLOAD, Record


def read(records: Sequence[Record], now_us: int) -> pa.Table:
    """Return the rows of `records` in order; total."""
    heads = system.heads(records)
    texts: list[str | None] = []
    odd: list[str | None] = []
    for payload in heads.payloads():
        try:
            texts.append(payload.decode())
            odd.append(None)
        except UnicodeDecodeError:
            texts.append(None)
            odd.append(salvage.whole(payload).raw)
    columns = heads.columns(now_us)
    columns["_extra"] = pa.nulls(len(texts), pa.string())
    columns["_raw"] = pa.array(odd, pa.string())
    columns[PAYLOAD] = pa.array(texts, pa.string())
    return pa.table(columns)
