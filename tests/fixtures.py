"""Third-party test data: fetched by package name and version, checked, cached, never committed (`make fixtures`).

Lives here: packages with their integrity, and how a file of one is had; folders of Python libraries that are asked for
their opinion and are no dependencies. Not here: what tests read out of them.
Cache: `fixtures/` at the repository's top when it exists, else $HOOKBERG_CACHE_DIR, else ~/.cache/hookberg.
Integrity: https://docs.npmjs.com/cli/configuring-npm/package-lock-json (member `integrity`);
https://pip.pypa.io/en/stable/topics/secure-installs/ (hashes of a lock file).
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
_FETCH_TIMEOUT_S = 120


class FixtureError(RuntimeError):
    """The data cannot be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package: pinned version, sha512 of its tarball (base64), the members that tests need."""

    name: str
    version: str
    sha512: str
    members: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Return the name of its folder in the cache."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}"


EXAMPLES = Package(
    "@octokit/webhooks-examples",
    "7.6.1",
    "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ==",
    ("api.github.com/index.json",),
)
SCHEMAS = Package(
    "@octokit/webhooks-schemas",
    "7.6.1",
    "qW0Bwtb76r4m2WzVhKDyfEeEnt1GEQoRjkCqmq2ZeB0nNVDJ+Z2LBDS9FDPyduuMXf/ZTWiCJp9PFFHgRfBe3A==",
    ("schema.json",),
)
OPENAPI = Package(
    "@octokit/openapi-webhooks",
    "12.1.0",
    "Z5eDsLCUNbx1zHpZb1LNQirADqdMTvWJQ/deahi0ws+tWWnwHXB+Pr4jfmM9OrETS9Y5iW8ZRu1fdbudObhLrg==",
    ("generated/api.github.com.json",),
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One PyPI package that is read as an archive and never installed: pinned version and sha256 of its wheel."""

    name: str
    version: str
    sha256: str


KUBERNETES = Wheel("kubernetes-validate", "1.33.1", "fd910cff492ea32c85b8733fedd31dd0cf582925d3b3a3e73ceda1876f87bdcb")
"""Kubernetes' own JSON schemas, of several versions: deploy/k8s is checked by them."""
PACKAGES = (EXAMPLES, SCHEMAS, OPENAPI)
ORACLES = TOP / "tests/contract/vendors/oracles/requirements.lock"
"""Vendors' own libraries: what they say of a signature is compared with what we say."""
S3 = TOP / "tests/house/s3/requirements.lock"
"""An S3 server of the tests, run as a process of its own."""


def cache_dir() -> Path:
    """Return the folder that holds the packages."""
    if (TOP / "fixtures").is_dir():
        return TOP / "fixtures"
    if given := os.environ.get("HOOKBERG_CACHE_DIR"):
        return Path(given) / "fixtures"
    return Path.home() / ".cache" / "hookberg" / "fixtures"


def member(package: Package, name: str) -> Path:
    """Return one file of a package, fetching the package when it is not in the cache; raises FixtureError."""
    if name not in package.members:
        raise FixtureError(f"{name} is not a member of {package.name} that the tests use")
    folder = cache_dir() / package.folder
    if not all((folder / each).is_file() for each in package.members):
        fetch(package, folder)
    return folder / name


def fetch(package: Package, folder: Path) -> None:
    """Get a package with npm, check its hash, unpack its members into `folder` (whole or not at all)."""
    npm = shutil.which("npm")
    if npm is None:
        raise FixtureError(
            f"{package.name} {package.version} is needed and npm is not installed: install Node.js with npm, "
            f"or copy {folder} from a machine that ran `make fixtures`"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        tarball = _pack(npm, package, Path(scratch))
        _check(package, tarball.read_bytes())
        ready = Path(scratch) / "ready"
        with tarfile.open(tarball) as archive:
            for name in package.members:
                _unpack(archive, name, ready / name)
        try:
            ready.rename(folder)
        except OSError:  # somebody was faster, or an incomplete folder stands there
            shutil.copytree(ready, folder, dirs_exist_ok=True)


def _pack(npm: str, package: Package, scratch: Path) -> Path:
    try:
        done = subprocess.run(
            [npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--loglevel=error"],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FixtureError(f"npm pack {package.name}: no answer in {_FETCH_TIMEOUT_S} s; is the network up?") from None
    tarballs = list(scratch.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        raise FixtureError(f"npm pack {package.name}@{package.version} failed: {done.stderr.strip()[-500:]}")
    return tarballs[0]


def _check(package: Package, data: bytes) -> None:
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != package.sha512:
        raise FixtureError(f"{package.name} {package.version}: sha512 {found} is not the pinned {package.sha512}")


def _unpack(archive: tarfile.TarFile, name: str, target: Path) -> None:
    source = archive.extractfile(f"package/{name}")
    if source is None:
        raise FixtureError(f"{name} is not a file of the package")
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as out:
        shutil.copyfileobj(source, out)


def wheel(package: Wheel) -> Path:
    """Return the archive of a PyPI package, fetching it when it is not in the cache; raises FixtureError."""
    folder = cache_dir() / f"{package.name}-{package.version}"
    found = list(folder.glob("*.whl"))
    if found:
        return found[0]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wanted, ready = Path(scratch) / "wanted.txt", Path(scratch) / "ready"
        wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", "utf-8")
        options = ("--require-hashes", "--no-deps", "--only-binary=:all:", "--dest", str(ready), "-r", str(wanted))
        _pip("download", options, f"{package.name} {package.version} is needed once", folder)
        try:
            ready.rename(folder)
        except OSError:  # somebody was faster
            shutil.copytree(ready, folder, dirs_exist_ok=True)
    return next(folder.glob("*.whl"))


def libraries(lock: Path) -> Path:
    """Return the folder that holds what a lock file names, and that alone, fetching it when it is not in the cache.

    The folder is named after the lock's hash and the interpreter; nobody imports from it but a process of its own.
    Raises FixtureError.
    """
    version = f"py{sys.version_info[0]}{sys.version_info[1]}"
    folder = cache_dir() / f"{lock.parent.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}-{version}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # several test processes: one of them fetches
        if not folder.is_dir():
            _install(lock, folder)
    return folder


def _install(lock: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        ready = Path(scratch) / "ready"
        options = ("--require-hashes", "--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(ready))
        missing = f"the libraries of {lock.relative_to(TOP)} are needed once"
        _pip("install", (*options, "-r", str(lock)), missing, folder)
        ready.rename(folder)


def _pip(verb: str, options: Sequence[str], missing: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", verb, "-q", "--disable-pip-version-check", *options]
    advice = f"run `make fixtures` with a package index at hand, or copy {folder} from a machine that did"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise FixtureError(f"{missing}: pip had no answer in {_FETCH_TIMEOUT_S} s; {advice}") from None
    if done.returncode:
        raise FixtureError(f"{missing} and pip failed; {advice}: {done.stderr.strip()[-500:]}")


def main() -> int:
    """Fetch everything that is missing and print where it is."""
    try:
        for package in PACKAGES:
            for name in package.members:
                print(member(package, name))
        print(libraries(ORACLES))
        print(libraries(S3))
        print(wheel(KUBERNETES))
    except FixtureError as exc:
        print(f"fixtures: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
