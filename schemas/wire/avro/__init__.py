"""Avro single-object encoding: two marker bytes, the schema's CRC-64 fingerprint, the datum.

Lives here: schemas (`<record>.v<N>.avsc`) and the codec. A record's reader knows every version by its fingerprint, so
old records stay readable. Avro 1.12 specification, "Single-object encoding".
"""

import io
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.errors import Poison
from schemas.reasons import Reason

_MARKER = b"\xc3\x01"
_HEAD = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(value: datetime) -> int:
    """Return a decoded timestamp-micros as µs since the epoch, exactly."""
    return (value - _EPOCH) // timedelta(microseconds=1)


class Codec:
    """Encodes with the newest version of one record and decodes all; `names` are file stems, oldest first."""

    def __init__(self, *names: str) -> None:
        self._by_fingerprint: dict[bytes, Any] = {}
        for name in names:
            text = resources.files(__name__).joinpath(f"{name}.avsc").read_text("utf-8")
            canonical = to_parsing_canonical_form(json.loads(text))
            self._prefix = _MARKER + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
            self._newest = fastavro.parse_schema(json.loads(text))
            self._by_fingerprint[self._prefix] = self._newest

    def encode(self, datum: dict[str, Any]) -> bytes:
        """Return `datum` as one self-describing record."""
        out = io.BytesIO()
        out.write(self._prefix)
        fastavro.schemaless_writer(out, self._newest, datum)
        return out.getvalue()

    def decode(self, value: bytes) -> dict[str, Any]:
        """Read a record of any known version; raise `Poison(bad_record)` on anything else."""
        writer = self._by_fingerprint.get(value[:_HEAD])
        if writer is None:
            raise Poison(Reason.BAD_RECORD, f"not a known record: begins with {value[:_HEAD].hex()}")
        try:
            datum = fastavro.schemaless_reader(io.BytesIO(value[_HEAD:]), writer, None)
        except (EOFError, ValueError, IndexError, OverflowError) as exc:
            raise Poison(Reason.BAD_RECORD, f"record does not decode: {exc}") from exc
        assert isinstance(datum, dict)  # noqa: S101 both schemas are records
        return datum
