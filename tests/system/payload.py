"""Equality of a payload and the one rebuilt from a table's columns, as strict as a table can be held to.

Equal means: the same value after removing null members (a table cannot tell an absent member from a null one),
date-times as instants, numbers as numbers (exact decimals, never floats compared with a tolerance). Nothing looser:
null elements of arrays, empty objects, key sets, strings and booleans must agree.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


def parse(text: str | bytes) -> Any:
    """Read JSON with its numbers exact."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def without_nulls(value: Any) -> Any:
    """Remove members whose value is null, at every depth; elements of arrays stay."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner) for inner in value]
    return value


def difference(sent: Any, kept: Any, where: str = "") -> str | None:
    """Return where and how `kept` (from the table) differs from `sent` (parsed, without nulls), None if equal."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        if sent.keys() != kept.keys():
            missing, more = sorted(sent.keys() - kept.keys()), sorted(kept.keys() - sent.keys())
            return f"{where or '/'}: members missing {missing}, more {more}"
        return next((found for name in sent if (found := difference(sent[name], kept[name], f"{where}/{name}"))), None)
    if isinstance(sent, list) and isinstance(kept, list):
        if len(sent) != len(kept):
            return f"{where}: {len(sent)} elements sent, {len(kept)} kept"
        pairs = enumerate(zip(sent, kept, strict=True))
        return next((found for i, (one, two) in pairs if (found := difference(one, two, f"{where}/{i}"))), None)
    return None if _same(sent, kept) else f"{where}: sent {sent!r}, kept {kept!r}"


def _same(sent: Any, kept: Any) -> bool:
    if isinstance(kept, datetime):
        return isinstance(sent, str) and instant(sent) == instant(kept.isoformat())
    if isinstance(kept, bool) or isinstance(sent, bool):
        return sent is kept
    if isinstance(kept, float):
        kept = Decimal(repr(kept))
    if isinstance(kept, int):
        kept = Decimal(kept)
    if isinstance(sent, Decimal) and isinstance(kept, Decimal):
        return sent == kept
    return type(sent) is type(kept) and bool(sent == kept)


def instant(text: str) -> tuple[datetime, Decimal] | None:
    """Return an RFC 3339 date-time as (whole second in UTC, fraction), None if it is not one."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    whole = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
    return whole.astimezone(UTC), Decimal(fraction or 0)
