"""The data folder of `hookberg up`: what is in it, with which rights.

Lives here: paths and the two secret files. May not live here: what processes keep inside their own folders.
The layout is the one the root README shows.
"""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from schemas.reasons import Reason

_BAD_CHARACTERS = ",?#%\n"
"""Kafka splits folders at commas; the others have a meaning in the URLs that name our databases."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside one data folder. `root` is absolute."""

    root: Path

    @property
    def registry(self) -> Path:
        """Return the registry's SQLite file."""
        return self.root / "registry.db"

    @property
    def catalog(self) -> Path:
        """Return the Iceberg catalog's SQLite file."""
        return self.root / "catalog.db"

    @property
    def warehouse(self) -> Path:
        """Return the folder of table data."""
        return self.root / "warehouse"

    @property
    def kafka(self) -> Path:
        """Return the broker's folder."""
        return self.root / "kafka"

    @property
    def state(self) -> Path:
        """Return the folder of the stage's local state."""
        return self.root / "state"

    @property
    def logs(self) -> Path:
        """Return the folder of log files."""
        return self.root / "logs"

    @property
    def vault_key(self) -> Path:
        """Return the file with the key that encrypts secrets at rest."""
        return self.root / "vault.key"

    @property
    def admin_key(self) -> Path:
        """Return the file with the first API key."""
        return self.root / "admin.key"

    @property
    def up_file(self) -> Path:
        """Return the file that says where the running server is."""
        return self.root / "up.json"


def open_folder(root: Path) -> DataFolder:
    """Make the data folder (0700) where it is missing; return its paths. Raises LocalError `data_dir_unusable`."""
    path = root.expanduser().absolute()
    bad = sorted(set(str(path)) & set(_BAD_CHARACTERS))
    if bad:
        raise LocalError(Reason.DATA_DIR_UNUSABLE, f"{path}: choose a --data-dir without {' '.join(map(repr, bad))}")
    folder = DataFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        for inner in (folder.warehouse, folder.kafka, folder.state, folder.logs):
            inner.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        text = f"{path} cannot be used as data folder ({error.strerror}); choose another with --data-dir"
        raise LocalError(Reason.DATA_DIR_UNUSABLE, text) from error
    return folder


def ensure_keys(folder: DataFolder) -> None:
    """Make `vault.key` and `admin.key` (0600) where they are missing; never changes one that exists."""
    vault = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    write_once(folder.vault_key, f"{vault}\n")
    write_once(folder.admin_key, f"hbk_{secrets.token_urlsafe(32)}\n")


def write_once(path: Path, text: str) -> None:
    """Write a private file whole or not at all, unless it exists."""
    if not path.exists():
        replace_private(path, text)


def replace_private(path: Path, text: str) -> None:
    """Replace a file (0600) in one step, flushed to disk."""
    temporary = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
