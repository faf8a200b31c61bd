"""A start that cannot be: each says why with a stable reason, ends with code 78, and harms nothing that runs."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.house.server import HOOKBERG_UP
from tests.house.stack import free_port
from tests.system import slack
from tests.system.client import Server

pytestmark = pytest.mark.system

EXIT_CONFIGURATION = 78
TIMEOUT_S = 60


def _up(data_dir: Path, port: int, ingest_port: int, environ: dict[str, str] | None = None) -> tuple[int, str]:
    arguments = ["--data-dir", str(data_dir), "--port", str(port), "--ingest-port", str(ingest_port)]
    done = subprocess.run(
        [*HOOKBERG_UP, *arguments],
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def test_refuses_a_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    free = free_port()
    for port, ingest_port in ((_port(server.api), free), (free, _port(server.ingest))):
        code, said = _up(tmp_path / "data", port, ingest_port)
        assert code == EXIT_CONFIGURATION, said
        assert "port_taken" in said
        assert "--port" in said or "--ingest-port" in said
    _still_serves(server)


def test_refuses_a_data_folder_that_another_up_uses(server: Server) -> None:
    port = free_port()
    code, said = _up(server.data_dir, port, free_port((port,)))
    assert code == EXIT_CONFIGURATION, said
    assert "data_dir_locked" in said
    _still_serves(server)


def test_refuses_to_start_without_any_java(tmp_path: Path) -> None:
    """Nothing on the PATH, an empty cache, and a package index that answers nothing."""
    (tmp_path / "bin").mkdir()
    environ = {
        "PATH": str(tmp_path / "bin"),
        "JAVA_HOME": "",
        "HOME": str(tmp_path),
        "HOOKBERG_CACHE_DIR": str(tmp_path / "cache"),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "PIP_TIMEOUT": "1",
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    port = free_port()
    code, said = _up(tmp_path / "data", port, free_port((port,)), environ)
    assert code == EXIT_CONFIGURATION, said
    assert "java_missing" in said or "fetch_failed" in said, said


def _still_serves(server: Server) -> None:
    caller = server.new_tenant("alive")
    assert caller.post_event("slack", slack.message("still here")[1]).status == 200
