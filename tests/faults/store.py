"""A table store whose disk is full for as long as a file exists: pyiceberg loads it by the property `py-io-impl`.

https://py.iceberg.apache.org/configuration/#fileio
"""

import errno
import os
from pathlib import Path
from typing import Any

from pyiceberg.io import OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFileIO

NAME = "tests.faults.store.FillingIO"
FULL = "faults.full-while"


class FillingFile(OutputFile):
    """An output file that cannot be made while the disk is full."""

    def __init__(self, real: OutputFile, full: Path) -> None:
        super().__init__(real.location)
        self._real, self._full = real, full

    def __len__(self) -> int:
        return len(self._real)

    def exists(self) -> bool:
        return self._real.exists()

    def to_input_file(self) -> Any:
        return self._real.to_input_file()

    def create(self, overwrite: bool = False) -> OutputStream:
        if self._full.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._real.create(overwrite)


class FillingIO(PyArrowFileIO):
    """PyArrow's file system, full while the file that the property `faults.full-while` names exists."""

    def new_output(self, location: str) -> Any:
        return FillingFile(super().new_output(location), Path(self.properties[FULL]))
