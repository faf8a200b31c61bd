"""Avro files of one schema after another: what they have in common is worked out once.

Lives here: the file writer of manifests and manifest lists. Not here: what is in them (manifests.py, lists.py).
pyiceberg's own makes the schema's JSON text and the tree of field writers anew for each file, and gives the storage
every number by itself: two thirds of a small commit. https://avro.apache.org/docs/1.12.0/specification/#object-container-files
"""

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from pyiceberg.avro.encoder import BinaryEncoder
from pyiceberg.avro.file import MAGIC, META_SCHEMA, SYNC_SIZE, AvroFileHeader, AvroOutputFile
from pyiceberg.avro.resolver import construct_writer, resolve_writer
from pyiceberg.avro.writer import Writer
from pyiceberg.io import OutputFile
from pyiceberg.schema import Schema
from pyiceberg.typedef import StructProtocol
from pyiceberg.utils.schema_conversion import AvroSchemaConversion

D = TypeVar("D", bound=StructProtocol)
_HEADER = construct_writer(META_SCHEMA)


@dataclass(frozen=True, slots=True)
class Shape:
    """What files of one schema have in common: its JSON text, and what writes a record."""

    text: str
    writer: Writer


def shape(file_schema: Schema, record_schema: Schema, name: str) -> Shape:
    """Return the shape of files of a schema, from records as pyiceberg reads them."""
    text = json.dumps(AvroSchemaConversion().iceberg_to_avro(file_schema, schema_name=name))
    return Shape(text, resolve_writer(record_schema=record_schema, file_schema=file_schema))


class Writing(AvroOutputFile[D]):
    """An Avro file that is put together in memory and stored at the end, in one piece; not at all after an error."""

    def __init__(self, output_file: OutputFile, made: Shape, metadata: Mapping[str, str]) -> None:
        self.output_file, self.metadata = output_file, dict(metadata)
        self.sync_bytes, self.writer, self._text = os.urandom(SYNC_SIZE), made.writer, made.text
        self._held = io.BytesIO()
        self.encoder = BinaryEncoder(self._held)

    def __enter__(self) -> Self:
        """Write the header."""
        codec = self.compression_codec()
        named = {**self.metadata, "avro.schema": self._text, "avro.codec": "null" if codec is None else "deflate"}
        _HEADER.write(self.encoder, AvroFileHeader(MAGIC, named, self.sync_bytes))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store the file."""
        if kind is None:
            with self.output_file.create(overwrite=True) as stream:
                stream.write(self._held.getvalue())

    def write_encoded(self, count: int, records: bytes) -> None:
        """Write records that are encoded already, as one block."""
        codec = self.compression_codec()
        content = records if codec is None else codec.compress(records)[0]
        self.encoder.write_int(count)
        self.encoder.write_int(len(content))
        self.encoder.write(content)
        self.encoder.write(self.sync_bytes)


def encoded(made: Shape, record: StructProtocol) -> bytes:
    """Return one record as it stands in a block."""
    held = io.BytesIO()
    made.writer.write(BinaryEncoder(held), record)
    return held.getvalue()
