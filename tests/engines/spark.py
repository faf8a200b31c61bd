"""Spark 3.5 from PyPI in a virtual environment of its own, with Iceberg's runtime from Maven Central.

Lives here: fetching it once into the cache, and running what `hookberg table NAME` prints, as it is printed.
https://iceberg.apache.org/docs/latest/spark-getting-started/
"""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka.fetch import JarSet, cache_dir, ensure_runtime
from deploy.local.kafka.publish import publish_dir

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.lock"
JARS = JarSet(
    "spark-jars", "Iceberg's runtime for Spark", "1.11.0", HERE / "pom.xml", HERE / "jars.lock",
    "iceberg-spark-runtime-3.5_2.12",
)  # fmt: skip
INSTALL_S, RUN_S = 900, 300
_CONF = re.compile(r"^-- --conf (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Spark:
    """An installed Spark: its virtual environment, a Java, the jars beside Spark's own."""

    venv: Path
    java: Path
    jars: Path

    def run(self, snippet: str, folder: Path, *more: str) -> list[list[str]]:
        """Run a snippet's statement, then `more`, with the snippet's settings; return the rows of them all."""
        program = next(self.venv.glob("lib/python*/site-packages/pyspark/bin/spark-sql"))
        command = [str(program), "--master", "local[1]", "--driver-memory", "1g"]
        command += ["--jars", ",".join(str(jar) for jar in sorted(self.jars.glob("*.jar")))]
        for setting in (
            "spark.ui.enabled=false", "spark.driver.bindAddress=127.0.0.1", "spark.driver.host=127.0.0.1",
            "spark.sql.catalogImplementation=in-memory", "spark.sql.session.timeZone=UTC",
            f"spark.sql.warehouse.dir={folder}/spark", *_CONF.findall(snippet),
        ):  # fmt: skip
            command += ["--conf", setting]
        statement = "".join(line for line in snippet.splitlines() if not line.startswith("--"))
        statements = "; ".join((statement.rstrip(";"), *more))
        environ = {**os.environ, "JAVA_HOME": str(self.java.parent.parent), "SPARK_LOCAL_DIRS": str(folder / "local")}
        environ["PATH"] = f"{self.venv / 'bin'}{os.pathsep}{environ['PATH']}"
        done = subprocess.run(
            [*command, "-e", statements],
            cwd=folder, env=environ, capture_output=True, text=True, timeout=RUN_S, check=False,
        )  # fmt: skip
        faults = [line for line in done.stderr.splitlines() if not line.startswith(("\tat ", "\t... "))]
        assert done.returncode == 0, "\n".join(faults)[-4000:]
        return [line.split("\t") for line in done.stdout.splitlines() if line]


def ensure() -> Spark:
    """Return Spark, fetched on first use (some 380 MB to fetch, 450 MB kept, half a minute on a quick line)."""
    runtime = ensure_runtime(wanted=JARS)
    version = f"py{sys.version_info[0]}{sys.version_info[1]}"
    tag = f"{version}-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]}"
    venv = publish_dir(cache_dir(os.environ) / "spark", tag, _install, marker="installed")
    return Spark(venv, runtime.java.resolve(), runtime.jars)


def _install(folder: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    lock = REQUIREMENTS.read_text()
    builders = folder / "builders.lock"  # what the sdist is built with comes first, and nothing is fetched unhashed
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=INSTALL_S, env=environ)
    blocks = re.split(r"\n(?=[a-z])", lock.strip())
    builders.write_text("\n".join(block for block in blocks if not block.startswith(("pyspark", "py4j"))) + "\n")
    for options in (["-r", str(builders)], ["--no-build-isolation", "-r", str(REQUIREMENTS)]):
        subprocess.run([*pip, *options], check=True, timeout=INSTALL_S, env=environ)
    (folder / "installed").touch()
