"""Kafka Connect with the Apache Iceberg sink: its jars by Maven, its two property files, its process.

Lives here: the peer. Nothing of it is kept in this repository: Maven fetches by name, with its own settings, into the
user's cache. The recipe follows the sink's documentation (https://iceberg.apache.org/docs/latest/kafka-connect/), and
makes the catalog's tables beforehand: two tasks that open a new SQLite catalog at once trip over one another.
"""

import hashlib
import os
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import cache_dir
from deploy.local.kafka.config import LOG4J
from deploy.local.kafka.fetch import FETCH_TIMEOUT_S, PLUGIN
from deploy.local.kafka.java import system_java, system_maven
from deploy.local.kafka.publish import publish_dir
from tests.house.polling import free_port

HERE = Path(__file__).parent
TASKS = 2
HEAP = ("-Xms256m", "-Xmx2g", "-XX:+UseG1GC")
NAMESPACE = "peers"


@dataclass(frozen=True, slots=True)
class Connect:
    """A Java and two folders of jars: the worker's class path, and a plug-in path with the sink."""

    java: Path
    worker: Path
    plugins: Path


def ensure(environ: Mapping[str, str]) -> Connect:
    """Return what Connect needs, fetched on first use (some 250 MB); AssertionError without Java 17 or Maven."""
    java, maven = system_java(environ), system_maven(environ)
    assert java is not None, "Kafka Connect needs Java 17 or newer: set JAVA_HOME or put java on the PATH"
    assert maven is not None, "Kafka Connect's jars are fetched by Maven: put mvn on the PATH"

    def fetched(kind: str, into: str) -> Path:
        pom = HERE / f"{kind}.pom.xml"
        tag = f"{kind}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"

        def fill(folder: Path) -> None:
            command = [str(maven), "-B", "-q", "-C", "-f", str(pom), PLUGIN, "-DincludeScope=runtime"]
            subprocess.run([*command, f"-DoutputDirectory={folder / into}"], check=True, timeout=FETCH_TIMEOUT_S)

        return publish_dir(cache_dir(environ) / "peers", tag, fill, marker=into)

    return Connect(java, fetched("worker", "jars") / "jars", fetched("sink", "iceberg"))


def catalog(folder: Path, name: str) -> Path:
    """Make an empty JDBC catalog in a SQLite file; return its path."""
    path = folder / f"{name}.db"
    with sqlite3.connect(path) as made:
        made.execute(
            "create table iceberg_tables (catalog_name varchar(255) not null, table_namespace varchar(255) not null,"
            " table_name varchar(255) not null, metadata_location varchar(1000),"
            " previous_metadata_location varchar(1000), iceberg_type varchar(5),"
            " primary key (catalog_name, table_namespace, table_name))"
        )
        made.execute(
            "create table iceberg_namespace_properties (catalog_name varchar(255) not null,"
            " namespace varchar(255) not null, property_key varchar(255) not null, property_value varchar(1000),"
            " primary key (catalog_name, namespace, property_key))"
        )
    made.close()
    return path


def start(
    connect: Connect, folder: Path, bootstrap: str, name: str, topic: str, commit_ms: int
) -> "subprocess.Popen[bytes]":
    """Start a standalone worker with one connector that drains `topic` into table `peers.{name}`."""
    worker = {
        "bootstrap.servers": bootstrap,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "false",
        "offset.storage.file.filename": folder / f"{name}.offsets",
        "offset.flush.interval.ms": commit_ms,  # a partition that ran dry answers a commit only then
        "plugin.path": connect.plugins,
        "plugin.discovery": "service_load",
        "listeners": f"http://127.0.0.1:{free_port()}",
        "connector.client.config.override.policy": "All",
    }
    sink = {
        "name": name,
        "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
        "tasks.max": TASKS,
        "topics": topic,
        "iceberg.tables": f"{NAMESPACE}.{name}",
        "iceberg.tables.auto-create-enabled": "true",
        "iceberg.tables.evolve-schema-enabled": "true",
        "iceberg.tables.auto-create-props.write.parquet.compression-codec": "zstd",
        "iceberg.control.topic": control_topic(name),
        "iceberg.control.group-id-prefix": f"control-{name}",
        "iceberg.control.commit.interval-ms": commit_ms,
        "iceberg.catalog": "peers",
        "iceberg.catalog.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "iceberg.catalog.uri": f"jdbc:sqlite:{catalog(folder, name)}",
        "iceberg.catalog.warehouse": f"file:{folder / name}",
        "iceberg.catalog.jdbc.schema-version": "V1",
        "consumer.override.auto.offset.reset": "earliest",
    }
    paths = [folder / f"{name}.worker.properties", folder / f"{name}.sink.properties", folder / "log4j2.properties"]
    for path, values in zip(paths, (worker, sink), strict=False):
        path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    paths[2].write_text(LOG4J)
    command = [str(connect.java), *HEAP, f"-Dlog4j2.configurationFile={paths[2]}", "-cp", f"{connect.worker}/*"]
    command += ["org.apache.kafka.connect.cli.ConnectStandalone", str(paths[0]), str(paths[1])]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(os.environ))


def control_topic(name: str) -> str:
    """Name the topic over which the sink's tasks agree on commits."""
    return f"control-{name}"
