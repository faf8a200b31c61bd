"""An Iceberg REST catalog server for tests: Iceberg's reference adapter in a Java process, with faults on demand.

Lives here: fetching, compiling, starting, ending. Not here: what a commit makes of the faults (tests/integration/lake).
The protocol: https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

import hashlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from deploy.local.kafka.fetch import JarSet, cache_dir, ensure_runtime
from deploy.local.kafka.publish import publish_dir
from deploy.local.process import die_with
from tests.house.certificates import Held
from tests.house.polling import free_port, wait_until

HERE = Path(__file__).parent
SOURCE = HERE / "CatalogServer.java"
JARS = JarSet(
    "rest-catalog", "the REST catalog of the tests", "1.11.0", HERE / "pom.xml", HERE / "jars.lock", "iceberg-core"
)
_MAIN = "org.apache.iceberg.rest.CatalogServer"
_PASSWORD = "of-a-file-that-lives-as-long-as-a-test"
_START_S = 60.0


@dataclass(slots=True)
class RestCatalogServer:
    """A server on free ports over a SQLite file in `folder`; it keeps its ports when it is started again."""

    folder: Path
    certificate: Held | None = None
    port: int = field(default_factory=free_port)
    tls_port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        """Return the address for `uri`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Return the address of the encrypted listener."""
        return f"https://127.0.0.1:{self.tls_port}"

    @property
    def warehouse(self) -> str:
        """Return where tables go unless they name a place."""
        return f"file://{self.folder}/warehouse"

    def start(self) -> None:
        """Start the server unless it runs; wait until it answers."""
        if self.process is not None and self.process.poll() is None:
            return
        runtime = ensure_runtime(wanted=JARS)
        classes = compiled(runtime.java, runtime.jars)
        environ = {**os.environ, "PORT": str(self.port), "DATABASE": str(self.folder / "catalog.db")}
        environ["WAREHOUSE"] = self.warehouse
        if self.certificate is not None:
            self.tls_port = self.tls_port or free_port((self.port,))
            environ |= {"TLS_PORT": str(self.tls_port), "KEYSTORE_PASSWORD": _PASSWORD}
            environ["KEYSTORE"] = str(_keystore(self.certificate, self.folder / "keystore.p12"))
        command = [str(runtime.java), "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", f"{classes}{os.pathsep}{runtime.jars}/*", _MAIN]
        output = self.folder / "server.out"
        with output.open("ab") as file:
            process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                preexec_fn=die_with(os.getpid()),  # noqa: PLW1509 one prctl call
            )
        self.process = process

        def answers() -> bool:
            assert process.poll() is None, output.read_text(errors="replace")[-2000:]
            try:
                return requests.get(f"{self.url}/v1/config", timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(answers, _START_S, what="the REST catalog")

    def arm(self, fault: str) -> None:
        """Let the next commit of a table meet a fault (CatalogServer.java has the list)."""
        requests.put(f"{self.url}/fault/{fault}", timeout=5).raise_for_status()

    def survived(self) -> int:
        """Return how many requests that met a fault have ended by themselves since the start."""
        return int(requests.get(f"{self.url}/fault/", timeout=5).text)

    def kill(self) -> None:
        """End the server at once."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def ended(self) -> bool:
        """Tell whether the server has ended by itself, as by a `halt` fault."""
        return self.process is None or self.process.poll() is not None


def compiled(java: Path, jars: Path) -> Path:
    """Return the folder of the launcher's classes, compiled once a version of it (3 s)."""
    (compiler,) = jars.glob("ecj-*.jar")
    tag = hashlib.sha256(SOURCE.read_bytes() + JARS.lock.read_bytes()).hexdigest()[:12]

    def fill(folder: Path) -> None:
        path = os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))
        command = [str(java), "-jar", str(compiler), "-17", "-nowarn", "-cp", path, "-d", str(folder), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]

    marker = _MAIN.replace(".", "/") + ".class"
    return publish_dir(cache_dir(os.environ) / "rest-catalog", f"classes-{tag}", fill, marker=marker)


def _keystore(held: Held, path: Path) -> Path:
    secret = serialization.BestAvailableEncryption(_PASSWORD.encode())
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"server", held.key, held.certificate, None, secret))
    return path
