"""Stand-ins for base images on a machine that reaches no image registry: the same names, made of Debian packages.

Lives here: what each stand-in is made of. May not live here: when one is wanted (images.py). A stand-in behaves as the
real image does in what our Dockerfile, compose file and test broker use of it: entry point, user, volumes, environment.
Tool: https://manpages.debian.org/bookworm/debootstrap/debootstrap.8.en.html (root, Debian or Ubuntu).
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import KAFKA_VERSION, cache_dir, ensure_runtime
from deploy.local.kafka.config import LOG4J
from tests.compose.engine import CommandError, Engine, output
from tests.house.s3 import VERSITYGW, StoreMissingError, versitygw_binary

LABEL = "hookberg.stand-in"
SUITE = "bookworm"
BOOTSTRAP_S = 900.0
BUILD_S = 1200.0
IMPORT_S = 300.0
SCRIPTS = Path(__file__).with_name("entrypoints")
UNNEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


@dataclass(frozen=True, slots=True)
class StandIn:
    """One stand-in: Debian packages (None: an empty root), what is put on top, how the image is run."""

    packages: tuple[str, ...] | None
    fill: Callable[[Path], None]
    changes: tuple[str, ...] = ()


def make(engine: Engine, name: str) -> None:
    """Make the stand-in for the image `name` and put it into the engine's store under that name."""
    what = STAND_INS[name]
    with tempfile.TemporaryDirectory(prefix="hookberg-image-") as folder:
        root = Path(folder) / "root"
        root.mkdir(mode=0o755)
        if what.packages is not None:
            _bootstrap(root, what.packages)
        what.fill(root)
        changes = [word for change in (*what.changes, f"LABEL {LABEL}={SUITE}") for word in ("--change", change)]
        tar = subprocess.Popen(
            ["tar", "-C", str(root), "--numeric-owner", "-c", "."], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        with tar:
            assert tar.stdout is not None
            engine.run("import", *changes, "-", name, timeout_s=IMPORT_S, input_file=tar.stdout.fileno())
        assert tar.returncode == 0, "tar failed"


def _bootstrap(root: Path, packages: tuple[str, ...]) -> None:
    downloads = cache_dir(os.environ) / "containers" / "debs"
    downloads.mkdir(parents=True, exist_ok=True)
    include = ",".join(("ca-certificates", *packages))
    command = ["debootstrap", "--variant=minbase", f"--cache-dir={downloads}", f"--include={include}", SUITE, str(root)]
    output(command, os.environ, BOOTSTRAP_S)
    for unneeded in UNNEEDED:
        shutil.rmtree(root / unneeded, ignore_errors=True)
        (root / unneeded).mkdir(parents=True)


def _script(root: Path, name: str, target: str) -> None:
    path = root / target
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SCRIPTS / name, path)
    path.chmod(0o755)


def _in_root(root: Path, *command: str) -> None:
    output(["chroot", str(root), *command], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, 60.0)


def _python(root: Path) -> None:
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")


def _kafka(root: Path) -> None:
    _script(root, "kafka.sh", "etc/kafka/docker/run")
    shutil.copytree(ensure_runtime().jars, root / "opt/kafka/libs")
    (root / "opt/kafka/libs").chmod(0o755)
    (root / "opt/kafka/config").mkdir(parents=True)
    (root / "opt/kafka/config/log4j2.properties").write_text(LOG4J)
    data = root / "var/lib/kafka/data"
    data.mkdir(parents=True)
    _in_root(root, "useradd", "--create-home", "--shell", "/bin/bash", "appuser")
    _in_root(root, "chown", "-R", "appuser:root", "/var/lib/kafka", "/opt/kafka/config")


def _postgres(root: Path) -> None:
    _script(root, "postgres.sh", "usr/local/bin/docker-entrypoint.sh")
    shutil.rmtree(root / "var/lib/postgresql/15", ignore_errors=True)
    _in_root(root, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700", "/var/lib/postgresql/data")
    _in_root(root, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "2775", "/var/run/postgresql")


def _versitygw(root: Path) -> None:
    try:
        binary = versitygw_binary()
    except StoreMissingError as error:
        raise CommandError(str(error)) from error
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "tmp").mkdir(mode=0o1777)
    shutil.copy(binary, root / "usr/local/bin/versitygw")


_PATH = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STAND_INS = {
    "docker.io/library/python:3.11-slim-bookworm": StandIn(
        ("python3", "python3-venv"), _python, (_PATH, 'CMD ["python3"]')
    ),
    f"docker.io/apache/kafka:{KAFKA_VERSION}": StandIn(
        ("openjdk-17-jre-headless",),
        _kafka,
        (_PATH, "USER appuser", "EXPOSE 9092", "VOLUME /var/lib/kafka/data", 'CMD ["/etc/kafka/docker/run"]'),
    ),
    "docker.io/library/postgres:15": StandIn(
        ("postgresql-15",),
        _postgres,
        (
            "ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ENV PGDATA=/var/lib/postgresql/data",
            "VOLUME /var/lib/postgresql/data",
            "STOPSIGNAL SIGINT",
            'ENTRYPOINT ["docker-entrypoint.sh"]',
            'CMD ["postgres"]',
        ),
    ),
    f"docker.io/versity/versitygw:{VERSITYGW}": StandIn(None, _versitygw, ('ENTRYPOINT ["/usr/local/bin/versitygw"]',)),
}
