"""The images of a run: base images by pull or stand-in, ours by the Dockerfile.

Lives here: which images there must be, the build with this machine's pip settings and certificates as build secrets.
May not live here: how stand-ins are made (standins.py). Secrets: https://docs.docker.com/build/building/secrets/
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.compose import standins
from tests.compose.engine import CommandError, Engine

ROOT = Path(__file__).parents[2]
OURS = "hookberg:local"
PULL_S = 300.0
BUILD_S = 1500.0
_FROM = re.compile(r"^FROM (\S+/\S+)", re.MULTILINE)
"""A name without a slash is a stage of the file itself."""
_IMAGE = re.compile(r"^ +image: (\S+)", re.MULTILINE)
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def base_images() -> list[str]:
    """Return the images that the Dockerfile and the compose file name, without our own."""
    named = _FROM.findall((ROOT / "Dockerfile").read_text("utf-8"))
    named += _IMAGE.findall((ROOT / "docker-compose.yml").read_text("utf-8"))
    return sorted({name for name in named if not name.startswith("hookberg:")})


def ensure(engine: Engine, name: str) -> str:
    """Put an image into the store: there already, pulled, or a stand-in; return which. Raises CommandError."""
    if not engine.has_image(name):
        try:
            engine.run("pull", name, timeout_s=PULL_S)
        except CommandError as refused:
            if name not in standins.STAND_INS:
                raise
            try:
                standins.make(engine, name)
            except CommandError as error:
                text = f"{name} can be neither pulled nor made here (needs root, debootstrap; versitygw needs Go)"
                raise CommandError(f"{text}\n{refused}\n{error}") from error
            return "stand-in made"
        return "pulled"
    return "stand-in of before" if engine.label(name, standins.LABEL) else "there"


def build(engine: Engine) -> None:
    """Build our image. The host's network, pip settings and certificates are the builder's, none stays in the image.

    The image of the build before is removed when the new one differs.
    """
    with tempfile.TemporaryDirectory(prefix="hookberg-build-") as folder:
        command = ["build", "--network", "host", "--tag", OURS]
        ca = next(
            (os.environ[name] for name in _CA_VARIABLES if Path(os.environ.get(name, "/nowhere")).is_file()), None
        )
        if ca is not None:
            command += ["--secret", f"id=ca,src={ca}"]
        settings = pip_settings()
        if ca is not None:
            settings["cert"] = "/run/secrets/ca"
        if settings:
            path = Path(folder) / "pip.conf"
            path.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(settings.items())))
            path.chmod(0o600)
            command += ["--secret", f"id=pip,src={path}"]
        before = identity(engine, OURS)
        engine.run(*command, str(ROOT), timeout_s=BUILD_S)
        if before not in {"", identity(engine, OURS)}:
            engine.run("rmi", before)


def identity(engine: Engine, name: str) -> str:
    """Return an image's id, empty when it is not in the store."""
    return engine.run("image", "inspect", "--format", "{{.Id}}", name).strip() if engine.has_image(name) else ""


def pip_settings() -> dict[str, str]:
    """Return how this machine's pip reaches its index: what its files and PIP_* variables say."""
    wanted = ("index-url", "extra-index-url", "proxy", "trusted-host", "timeout", "retries")
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, str] = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if name in wanted and (section in {"global", "install"} or (section == ":env:" and value)):
            found[name] = value.strip("'\"")
    return found


def size_mb(engine: Engine, name: str) -> int:
    """Return an image's size in MB (10^6 bytes)."""
    return int(engine.run("image", "inspect", "--format", "{{.Size}}", name)) // 1_000_000
