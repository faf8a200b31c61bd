"""What this machine has to offer: versions, open files, disk, certificates.

Lives here: asking and judging. Nothing is written.
"""

import datetime as dt
import platform
import re
import resource
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography import x509

import deploy
from schemas.backing.probe import Finding, fail, ok, warn
from schemas.definitions.view import Snapshot

LEAST_PYTHON, FIRST_UNKNOWN = (3, 11), (3, 14)
LOCK = "requirements.lock"
MANY_FILES, FEW_FILES = 8_192, 1_024
"""A connection, a RocksDB file and a topic's log take a descriptor each."""
LOW_BYTES, FULL_BYTES, LOW_SHARE = 5 << 30, 512 << 20, 0.05
SOON = dt.timedelta(days=30)
MOST_NAMED = 5
_GIB = 1 << 30
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def versions(lock: Path | None = None) -> list[Finding]:
    """Compare Python and the installed packages with what this release was tested with."""
    found = [judged_python(tuple(int(part) for part in platform.python_version_tuple()[:2]))]
    lock = lock or Path(deploy.__file__).parents[1] / LOCK
    try:
        pinned = dict(_PINNED.findall(lock.read_text("utf-8")))
    except OSError:
        return [*found, ok("packages", f"no {LOCK} beside this installation to compare with")]
    other = []
    for name, version in sorted(pinned.items()):
        try:
            has = metadata.version(name)
        except metadata.PackageNotFoundError:
            has = "missing"
        if has != version:
            other.append(f"{name} {has}, not {version}")
    if not other:
        return [*found, ok("packages", f"{len(pinned)} as locked")]
    more = f" and {len(other) - MOST_NAMED} more" if len(other) > MOST_NAMED else ""
    missing = any(" missing," in one for one in other)
    mend = f"python -m pip install --require-hashes -r {LOCK}"
    return [*found, (fail if missing else warn)("packages", "; ".join(other[:MOST_NAMED]) + more, mend)]


def judged_python(version: tuple[int, ...]) -> Finding:
    """Judge a version of Python."""
    text = f"{platform.python_implementation()} {'.'.join(map(str, version))}"
    if not LEAST_PYTHON <= version < FIRST_UNKNOWN:
        return fail("python", text, "use Python 3.11 to 3.13")
    return ok("python", text)


def open_files() -> list[Finding]:
    """Look at the limit of open files; the ingress raises the soft one to the hard one by itself."""
    return [judged_files(*resource.getrlimit(resource.RLIMIT_NOFILE))]


def judged_files(soft: int, hard: int) -> Finding:
    """Judge a soft and a hard limit of open files; negative: none."""
    most = hard if hard >= 0 else 1 << 30
    text = f"limit of open files: {soft}, hard {'none' if hard < 0 else hard}"
    mend = "raise it: LimitNOFILE= of the service, ulimits of the container, or /etc/security/limits.conf"
    if most < FEW_FILES:
        return fail("open files", text, mend)
    return warn("open files", text, mend) if most < MANY_FILES else ok("open files", text)


def local_path(url: str | None) -> Path | None:
    """Return the folder of a file:// address; None for anything else."""
    found = urlsplit(url or "")
    return Path(unquote(found.path)) if found.scheme == "file" else None


def disk(folders: Mapping[str, Path | None]) -> list[Finding]:
    """Look at the space of the disks that our folders are on; one that is missing is judged by where it will be."""
    found = []
    for name, folder in folders.items():
        if folder is None:
            continue
        place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        usage = shutil.disk_usage(place)
        found.append(judged_space(f"{name} ({folder})", usage.free, usage.total))
    return found


def judged_space(what: str, free: int, total: int) -> Finding:
    """Judge the free bytes of a disk."""
    text = f"{what}: {free / _GIB:.1f} of {total / _GIB:.0f} GiB free"
    mend = "free some, grow the disk, or shorten retentions"
    if free < FULL_BYTES:
        return fail("disk", text, mend)
    return warn("disk", text, mend) if free < LOW_BYTES or free < total * LOW_SHARE else ok("disk", text)


def certificates(files: Sequence[Path], now: dt.datetime) -> list[Finding]:
    """Read the certificates that the settings name: those that have ended, and those that will within 30 days."""
    if not files:
        return [ok("certificates", "none in the settings")]
    found = []
    for file in files:
        try:
            found.append(judged_pem(str(file), file.read_bytes(), now))
        except (OSError, ValueError) as error:
            found.append(fail("certificates", f"{file}: {error}", "give a PEM file that this user may read"))
    return found


def bundles(snapshot: Snapshot, now: dt.datetime) -> list[Finding]:
    """Read the authorities of sources whose senders prove themselves by client certificates."""
    found = []
    for source in snapshot.sources.values():
        pem = getattr(source.definition.auth, "ca", None) if source.definition.auth.type == "mtls" else None
        if pem:
            found.append(judged_pem(f"source {source.tenant}/{source.name}", str(pem).encode(), now))
    return found


def judged_pem(what: str, pem: bytes, now: dt.datetime) -> Finding:
    """Judge a PEM by the first of its certificates to end. Raises ValueError when there is none."""
    ends = min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(pem))
    mend = "put a new one in its place; the ingress takes changed files without a restart"
    if ends <= now:
        return fail("certificates", f"{what} ended at {ends:%Y-%m-%d %H:%M}Z", mend)
    if ends - now < SOON:
        return warn("certificates", f"{what} ends in {(ends - now).days} days", mend)
    return ok("certificates", f"{what}: until {ends:%Y-%m-%d}")
