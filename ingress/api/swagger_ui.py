"""Swagger UI's two files for the docs page: fetched by name at set-up, checked by digest, never committed.

`make setup` and `hookberg up` call `fetch`; without npm or a registry the docs page says so and links the document.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from ingress.api.env import STATIC

PACKAGE = "swagger-ui-dist"
VERSION = "5.35.0"
FILES = {
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}
"""SHA-256 of each file as the package holds it."""
_TIMEOUT_S = 120
_MAX_FILE = 8 << 20


def present(folder: Path = STATIC) -> bool:
    """Tell whether both files are there and are the pinned ones."""
    return all(_digest(folder / name) == digest for name, digest in FILES.items())


def fetch(folder: Path = STATIC) -> str:
    """Put both files into `folder` with `npm pack`; return "" or why that could not be. Blocks, may use the network."""
    if present(folder):
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed: /docs will link the OpenAPI document instead"
    with tempfile.TemporaryDirectory() as work:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", work]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S, cwd=work)  # noqa: S603 fixed words
        except (OSError, subprocess.SubprocessError) as exc:
            return f"npm pack {PACKAGE}@{VERSION} failed ({type(exc).__name__}): /docs will link the OpenAPI document"
        archive = next(Path(work).glob("*.tgz"), None)
        if archive is None:
            return f"npm pack {PACKAGE}@{VERSION} made no archive"
        return _unpack(archive, folder)


def _unpack(archive: Path, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for name, digest in FILES.items():
            try:
                member = package.extractfile(f"package/{name}")
            except KeyError:
                member = None
            content = member.read(_MAX_FILE) if member is not None else b""
            if hashlib.sha256(content).hexdigest() != digest:
                return f"{PACKAGE}@{VERSION}: {name} is not the pinned file"
            part = folder / f".{name}.part"
            part.write_bytes(content)
            part.replace(folder / name)
    return ""


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


if __name__ == "__main__":
    problem = fetch()
    sys.stderr.write(f"{problem or 'Swagger UI is in place'}\n")
