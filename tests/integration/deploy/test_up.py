"""`hookberg up` with a real broker and stand-ins for the processes."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.polling import free_port, wait_until
from tests.house.server import UpServer, run_up

STUB_UP = (sys.executable, str(Path(__file__).with_name("stub_up.py")))
ROOT = Path(__file__).parents[3]
ENV = {"PYTHONPATH": str(ROOT)}


def journal(data: Path) -> list[tuple[float, str, str]]:
    rows = [line.split(" ", 2) for line in (data / "state" / "journal").read_text().splitlines()]
    return [(float(when), name, what) for when, name, what in rows]


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


def refused(data: Path, port: int, ingest: int, environ: dict[str, str] | None = None) -> tuple[int, str]:
    arguments = ["--data-dir", str(data), "--port", str(port), "--ingest-port", str(ingest)]
    env = {**os.environ, **ENV, **(environ or {})}
    done = subprocess.run([*STUB_UP, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpServer]:
    with run_up(tmp_path_factory.mktemp("up") / "data", environ=ENV, command=STUB_UP) as running:
        yield running


def test_prepares_before_it_starts_processes(server: UpServer) -> None:
    rows = journal(server.data_dir)
    assert rows[0][1:] == ("prepare", "done")
    assert {name for _, name, what in rows[1:] if what.startswith("started")} == {
        "api",
        "ingress",
        "streams",
        "sinks",
        "notify",
    }


def test_keeps_the_folder_and_its_secrets_private(server: UpServer) -> None:
    mode = {
        name: stat.S_IMODE((server.data_dir / name).stat().st_mode) for name in ("admin.key", "vault.key", "up.json")
    }
    assert mode == {"admin.key": 0o600, "vault.key": 0o600, "up.json": 0o600}
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert re.fullmatch(r"hbk_[A-Za-z0-9_-]{43}", server.admin_key)


def test_prints_commands_but_never_the_key(server: UpServer) -> None:
    printed = server.output.read_text()
    assert f"HOOKBERG_KEY=$(cat {server.data_dir}/admin.key)" in printed
    assert "hookberg demo" in printed
    assert "hookberg query " in printed
    assert server.admin_key not in printed
    assert (server.data_dir / "vault.key").read_text().strip() not in printed


def test_merges_logs_with_process_names_and_keeps_a_file_each(server: UpServer) -> None:
    logs = server.data_dir / "logs"
    wait_until(lambda: "streams  | streams says hello" in server.output.read_text(), 10.0)
    wait_until(lambda: "sinks says hello" in (logs / "sinks.log").read_text(), 10.0)
    wait_until(lambda: "Kafka Server started" in (logs / "kafka.log").read_text(), 10.0)


def test_refuses_a_second_start_on_the_same_folder(server: UpServer) -> None:
    code, text = refused(server.data_dir, free_port(), free_port())
    assert code == 78
    assert "data_dir_locked" in text
    assert str(server.process.pid) in text
    assert "--data-dir" in text


def test_refuses_a_taken_port_before_it_starts_anything(server: UpServer, tmp_path: Path) -> None:
    taken = int(server.state()["ports"]["ingress"])
    code, text = refused(tmp_path / "other", free_port(), taken)
    assert code == 78
    assert "port_taken" in text
    assert str(taken) in text
    assert "--ingest-port" in text
    assert list((tmp_path / "other" / "kafka").iterdir()) == []


@pytest.mark.parametrize("name", ["streams", "kafka"])
def test_replaces_a_killed_process_and_says_so_in_up_json(server: UpServer, name: str) -> None:
    before = server.pid(name)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: server.state()["processes"][name]["restarts"] >= 1, 20.0)
    server.await_ready(60.0)
    assert server.pid(name) != before
    assert "ended with signal 9" in (server.data_dir / "logs" / f"{name}.log").read_text()


def test_drains_doors_first_and_the_broker_last(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with run_up(data, environ=ENV, command=STUB_UP) as server:
        pids = [server.pid(name) for name in ("api", "ingress", "streams", "sinks", "notify", "kafka")]
        bootstrap = server.state()["kafkaBootstrapServers"]
        key = server.admin_key
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 15.0
    order = [name for _, name, what in journal(data) if what == "drained"]
    assert set(order[:2]) == {"api", "ingress"}
    assert order[2] == "streams"
    assert set(order[3:]) == {"sinks", "notify"}
    assert all(gone(pid) for pid in pids)
    assert not (data / "up.json").exists()
    with run_up(data, environ=ENV, command=STUB_UP) as again:
        assert again.state()["kafkaBootstrapServers"] == bootstrap
        assert again.admin_key == key


def test_takes_its_children_along_when_it_is_killed(tmp_path: Path) -> None:
    with run_up(tmp_path / "data", environ=ENV, command=STUB_UP) as server:
        pids = [server.pid(name) for name in ("api", "ingress", "streams", "sinks", "notify", "kafka")]
        server.kill()
        wait_until(lambda: all(gone(pid) for pid in pids), 10.0)


def test_stops_everything_when_a_process_has_a_configuration_error(kafka_bootstrap: str, tmp_path: Path) -> None:
    environ = {"HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "STUB_EXIT_SINKS": "78"}
    code, text = refused(tmp_path / "data", free_port(), free_port(), environ)
    assert code == 78
    assert "process_failed: sinks has a configuration error" in text
    assert text.rstrip().endswith("sinks has a wrong setting")


def test_uses_an_existing_cluster_when_one_is_named(kafka_bootstrap: str, tmp_path: Path) -> None:
    environ = {**ENV, "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}
    with run_up(tmp_path / "data", environ=environ, command=STUB_UP) as server:
        assert server.state()["kafkaBootstrapServers"] == kafka_bootstrap
        assert "kafka" not in server.state()["processes"]


def test_says_when_the_named_cluster_does_not_answer(tmp_path: Path) -> None:
    with socket.socket() as silent:  # bound, not listening: refuses connections
        silent.bind(("127.0.0.1", 0))
        environ = {"HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{silent.getsockname()[1]}"}
        code, text = refused(tmp_path / "data", free_port(), free_port(), environ)
    assert code == 78
    assert "broker_not_ready" in text
    assert "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS" in text


def test_says_what_to_install_without_java_and_maven(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    environ = {
        "PATH": str(tmp_path / "empty"),
        "JAVA_HOME": "",
        "HOOKBERG_CACHE_DIR": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
    }
    code, text = refused(tmp_path / "data", free_port(), free_port(), environ)
    assert code == 78
    assert "java_missing" in text
    assert "openjdk-17-jre-headless maven" in text
    assert "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS" in text
