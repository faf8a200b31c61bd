"""The small parts of the local start."""

import io
import json
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.banner import commands, greet
from deploy.local.errors import LocalError
from deploy.local.folder import ensure_keys, open_folder
from deploy.local.kafka.config import BrokerConfig, NodePorts, load_or_create
from deploy.local.kafka.fetch import cache_dir, locked_jars, verify_jars
from deploy.local.kafka.java import REQUIREMENTS
from deploy.local.kafka.probe import brokers_seen
from deploy.local.kafka.publish import publish_dir
from deploy.local.lock import FolderLock
from deploy.local.logs import MAX_LINE_BYTES, LineSplitter, LogStream
from deploy.local.plan import Ports, choose_ports, environment, public_url
from deploy.local.ports import free_port, is_free, keep_or_choose
from deploy.local.state import UpState, read_state
from schemas.reasons import Reason


def test_a_second_lock_names_the_holder(tmp_path: Path) -> None:
    with FolderLock(tmp_path), pytest.raises(LocalError, match=str(os.getpid())) as failure, FolderLock(tmp_path):
        pass
    assert failure.value.reason is Reason.DATA_DIR_LOCKED
    with FolderLock(tmp_path):
        pass


@pytest.mark.parametrize("name", ["plain dir", "größe 日本 \U0001f3a3", "back\\slash"])
def test_kafka_reads_the_folder_that_we_mean(tmp_path: Path, name: str) -> None:
    """Its file is read as latin-1 with Java's escapes; a folder read wrongly would hold the log elsewhere."""
    config = BrokerConfig(tmp_path / name, "id", (NodePorts(1, 2),))
    text = config.properties_text(1).encode("ascii").decode("ascii")
    line = next(line for line in text.splitlines() if line.startswith("log.dirs="))
    units = re.sub(r"\\u([0-9a-f]{4})|\\\\", lambda m: chr(int(m[1], 16)) if m[1] else "\\", line.partition("=")[2])
    read = units.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
    assert read == config.properties(1)["log.dirs"]
    assert name in read


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os,sys; from pathlib import Path; from deploy.local.lock import FolderLock\n"
        "FolderLock(Path(sys.argv[1])).__enter__(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -9
    with FolderLock(tmp_path):
        pass


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "data")
    ensure_keys(folder)
    first = (folder.vault_key.read_text(), folder.admin_key.read_text())
    ensure_keys(folder)
    assert (folder.vault_key.read_text(), folder.admin_key.read_text()) == first
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder.vault_key, folder.admin_key)} == {0o600}


@pytest.mark.parametrize("name", ["a,b", "a?b", "a#b", "a%b"])
def test_refuses_a_folder_that_kafka_or_a_url_would_misread(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalError, match="data_dir_unusable"):
        open_folder(tmp_path / name)


def test_refuses_a_file_as_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="data_dir_unusable"):
        open_folder(tmp_path / "file")


def test_refuses_equal_and_impossible_ports() -> None:
    port = free_port()
    for pair in ((port, port), (0, port), (port, 65_536)):
        with pytest.raises(LocalError, match="port_taken"):
            choose_ports(*pair)


def test_a_remembered_port_is_kept_unless_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert not is_free(taken)
        assert keep_or_choose(taken) != taken
    port = free_port()
    assert keep_or_choose(port) == port
    assert keep_or_choose(port, avoid=(port,)) != port


def test_a_cluster_keeps_its_id_and_moves_only_a_taken_port(tmp_path: Path) -> None:
    first = load_or_create(tmp_path / "kafka")
    assert load_or_create(tmp_path / "kafka") == first
    with socket.create_server(("127.0.0.1", first.nodes[0].broker)):
        moved = load_or_create(tmp_path / "kafka")
    assert moved.cluster_id == first.cluster_id
    assert moved.nodes[0].broker != first.nodes[0].broker
    assert moved.nodes[0].controller == first.nodes[0].controller


def test_an_unreadable_cluster_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(LocalError, match="data_dir_unusable"):
        load_or_create(tmp_path)
    assert (tmp_path / "cluster.json").read_text() == "{"


def test_three_nodes_replicate_and_one_does_not(tmp_path: Path) -> None:
    def properties(count: int) -> dict[str, str]:
        nodes = tuple(NodePorts(10 + i, 20 + i) for i in range(count))
        return BrokerConfig(tmp_path, "id", nodes, overrides=(("num.io.threads", "1"),)).properties(1)

    names = ("offsets.topic.replication.factor", "transaction.state.log.min.isr", "num.io.threads")
    assert [properties(1)[name] for name in names] == ["1", "1", "1"]
    assert [properties(3)[name] for name in names] == ["3", "2", "1"]


def test_children_get_no_command_line_settings_and_the_users_replication_stands(tmp_path: Path) -> None:
    base = {"HOOKBERG_KEY": "secret", "HOOKBERG_REPLICATION_FACTOR": "3", "HOME": "/h", "HOOKBERG_API_PORT": "1"}
    env = environment(base, open_folder(tmp_path), Ports(1000, 1001, 1002, 1003, 1004), "b:1")
    assert "HOOKBERG_KEY" not in env
    chosen = {key: env[key] for key in ("HOOKBERG_REPLICATION_FACTOR", "HOOKBERG_MIN_INSYNC_REPLICAS", "HOME")}
    assert chosen == {"HOOKBERG_REPLICATION_FACTOR": "3", "HOOKBERG_MIN_INSYNC_REPLICAS": "1", "HOME": "/h"}
    assert env["HOOKBERG_API_PORT"] == "1000"


def test_webhooks_may_call_this_machine_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    folder, ports = open_folder(tmp_path), Ports(1000, 1001, 1002, 1003, 1004)
    private, http = "HOOKBERG_NOTIFY_ALLOW_PRIVATE", "HOOKBERG_NOTIFY_ALLOW_HTTP"
    env = environment({}, folder, ports, "b:1")
    assert (env[private], env[http]) == ("127.0.0.0/8,::1/128", "true")
    given = {private: "", http: "false"}
    assert {name: environment(given, folder, ports, "b:1")[name] for name in given} == given


def test_the_public_address_of_the_user_stands_and_is_said(tmp_path: Path) -> None:
    folder, ports = open_folder(tmp_path), Ports(1000, 1001, 1002, 1003, 1004)
    name = "HOOKBERG_PUBLIC_INGEST_URL"

    def greeted(environ: dict[str, str]) -> str:
        out = io.StringIO()
        greet(Console(file=out), UpState(folder, ports, "b:1", public_url(environ, ports), 1.0), tmp_path)
        return out.getvalue()

    assert environment({}, folder, ports, "b:1")[name] == "http://127.0.0.1:1001"
    assert "vendors reach" not in greeted({})
    given = {name: "https://hooks.example"}
    assert environment(given, folder, ports, "b:1")[name] == "https://hooks.example"
    assert "  vendors reach   https://hooks.example\n" in greeted(given)


def test_up_json_of_a_gone_supervisor_is_not_believed(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    UpState(folder, Ports(1, 2, 3, 4, 5), "b:1", "http://127.0.0.1:2", 1.0).write(())
    assert read_state(tmp_path) is not None
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    folder.up_file.write_text(json.dumps({**json.loads(folder.up_file.read_text()), "pid": ended.pid}))
    assert read_state(tmp_path) is None


def test_commands_quote_a_folder_with_a_space() -> None:
    export = commands(Path("my data"), "http://127.0.0.1:1")[0]
    assert shlex.quote("my data/admin.key") in export
    assert commands(Path(".hookberg"), "u")[0] == "export HOOKBERG_KEY=$(cat .hookberg/admin.key)"


def test_long_lines_are_cut_and_the_rest_is_kept() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"a" * (2 * MAX_LINE_BYTES + 5)) + splitter.feed(b"b\nshort\nopen") + splitter.end()
    assert [len(line) for line in lines[:2]] == [MAX_LINE_BYTES] * 2
    assert lines[2:] == ["aaaaab", "short", "open"]


def test_log_files_are_bounded_and_the_console_may_go(tmp_path: Path) -> None:
    console = io.StringIO()
    logs = LogStream(Console(file=console), tmp_path, max_file_bytes=100)
    for number in range(40):
        if number == 20:
            console.close()
        logs.write("api", f"line {number:03}")
    logs.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 240
    assert (tmp_path / "api.log").read_text().endswith("line 039\n")


def test_a_failed_fill_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    def fill(text: str) -> Callable[[Path], None]:
        def run(folder: Path) -> None:
            (folder / "half").write_text(text)
            if text == "bad":
                raise OSError("cut off")
            (folder / "marker").write_text(text)

        return run

    with pytest.raises(OSError, match="cut off"):
        publish_dir(tmp_path, "jars", fill("bad"), marker="marker")
    assert not (tmp_path / "jars").exists()
    first = publish_dir(tmp_path, "jars", fill("good"), marker="marker")
    assert publish_dir(tmp_path, "jars", fill("bad"), marker="marker") == first
    assert (tmp_path / "jars" / "marker").read_text() == "good"


def test_refuses_a_jar_that_is_not_the_pinned_one(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"other")
    with pytest.raises(LocalError, match="fetch_failed"):
        verify_jars(tmp_path, {"a.jar": "0" * 64})
    with pytest.raises(LocalError, match=r"b\.jar was not fetched"):
        verify_jars(tmp_path, {"b.jar": "0" * 64})


def test_the_locks_pin_by_hash_and_name_no_address() -> None:
    jars = locked_jars()
    assert len(jars) == 46
    assert all(len(digest) == 64 for digest in jars.values())
    text = REQUIREMENTS.read_text()
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_the_cache_folder_follows_its_settings(tmp_path: Path) -> None:
    assert cache_dir({"HOOKBERG_CACHE_DIR": str(tmp_path)}) == tmp_path
    assert cache_dir({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "hookberg"
    assert cache_dir({}) == Path.home() / ".cache" / "hookberg"


def test_a_silent_listener_is_no_broker() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert brokers_seen(listener.getsockname()[1], timeout_s=0.2) == 0
