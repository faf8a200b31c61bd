"""Groups and processes: the setting, the lock, one process a group, restart, drain."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.errors import EXIT_CONFIGURATION, EXIT_RESTART, ConfigurationError
from schemas.settings import StreamsSettings
from streams import supervise
from tests.house.polling import wait_until


def settings(folder: Path, **more: object) -> StreamsSettings:
    given = {"kafka_bootstrap_servers": "127.0.0.1:1", "registry_url": "sqlite://", "state_dir": folder}
    return StreamsSettings.model_validate(given | more)


def test_all_means_every_group(tmp_path: Path) -> None:
    assert supervise.groups_of(settings(tmp_path, groups=3)) == ["0", "1", "2"]
    assert supervise.groups_of(settings(tmp_path, groups=3, groups_run="2, 0")) == ["2", "0"]


@pytest.mark.parametrize("wanted", ["", "3", "0,0", "one"])
def test_refuses_groups_that_cannot_be(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match="HOOKBERG_GROUPS_RUN"):
        supervise.groups_of(settings(tmp_path, groups=3, groups_run=wanted))


def test_a_group_that_runs_already_is_refused(tmp_path: Path) -> None:
    with supervise.held(tmp_path, "0"), pytest.raises(ConfigurationError, match="runs already"):  # noqa: SIM117
        with supervise.held(tmp_path, "0", wait_s=0.2):
            pass
    with supervise.held(tmp_path, "0", wait_s=0.2):
        pass


def test_a_groups_process_holds_its_lock_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def main(given: StreamsSettings, group: str) -> int:
        with pytest.raises(ConfigurationError, match="runs already"), supervise.held(given.state_dir, group, wait_s=0):
            pass
        return 3

    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(supervise, "_die_with_parent", lambda: None)
    monkeypatch.setattr(supervise, "os", SimpleNamespace(_exit=end))
    with pytest.raises(SystemExit) as ended:
        supervise._group_process(main, settings(tmp_path), "0")
    assert ended.value.code == 3


def test_one_group_runs_in_this_process(tmp_path: Path) -> None:
    seen = []

    def main(given: StreamsSettings, group: str) -> int:
        seen.append((given.streams_health_port, group, os.getpid()))
        return 3

    assert supervise.run(settings(tmp_path), main) == 3
    assert seen == [(8082, "0", os.getpid())]


def child(given: StreamsSettings, group: str) -> int:
    """Write down each start; group 0 fails once, then all wait for the end."""
    notes = given.state_dir / f"starts-{group}"
    with notes.open("a") as file:
        file.write(f"{given.streams_health_port}\n")
    if group == "0" and len(notes.read_text().splitlines()) == 1:
        return EXIT_RESTART
    if group == "1":
        return EXIT_CONFIGURATION
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    (given.state_dir / f"waiting-{group}").touch()
    ended.wait(20)
    return 0


def test_a_failed_group_starts_again_and_a_misconfigured_one_does_not(tmp_path: Path) -> None:
    def end() -> None:
        wait_until(lambda: (tmp_path / "waiting-0").exists() and (tmp_path / "starts-1").exists(), 20)
        deadline = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > deadline, 2)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    watcher = threading.Thread(target=end)
    watcher.start()
    try:
        code = supervise.run(settings(tmp_path, groups=2, streams_health_port=9_000), child)
    finally:
        watcher.join()
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    assert code == EXIT_CONFIGURATION
    assert (tmp_path / "starts-0").read_text().split() == ["9000", "9000"]
    assert (tmp_path / "starts-1").read_text().split() == ["9001"]


def test_what_runs_beside_a_group_is_started_again_and_drained_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "_BESIDE_AFTER_S", 0.0)

    def main(_given: StreamsSettings, _group: str) -> int:
        wait_until((tmp_path / "waiting-stats").exists, 40, what="its second start")
        return 3

    assert supervise.run(settings(tmp_path), main, beside) == 3
    assert (tmp_path / "starts-stats").read_text() == "12"
    assert (tmp_path / "drained-stats").exists()


def beside(given: StreamsSettings, name: str) -> int:
    """Fail once, then wait for the end."""
    with (given.state_dir / f"starts-{name}").open("a") as file:
        file.write("2" if file.tell() else "1")
        first = file.tell() == 1
    if first:
        return EXIT_RESTART
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    (given.state_dir / f"waiting-{name}").touch()
    ended.wait(20)
    (given.state_dir / f"drained-{name}").touch()
    return 0


@pytest.mark.parametrize("more", [{"stats_enabled": False}, {"groups": 2, "groups_run": "1"}])
def test_it_runs_where_group_0_does_unless_it_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    monkeypatch.setattr(supervise, "Supervisor", None)  # would be needed for it
    assert supervise.run(settings(tmp_path, **more), lambda _given, _group: 3, beside) == 3


def waiting(given: StreamsSettings, group: str) -> int:
    """Say which process this is and wait for ever."""
    (given.state_dir / f"pid-{group}").write_text(str(os.getpid()))
    threading.Event().wait()
    return 0


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part exists on Linux")
def test_groups_die_with_their_supervisor(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    parent = context.Process(target=supervise.run, args=(settings(tmp_path, groups=2), waiting))
    parent.start()
    notes = [tmp_path / "pid-0", tmp_path / "pid-1"]
    wait_until(lambda: all(note.exists() and note.read_text() for note in notes), 40, what="both groups")
    parent.kill()
    parent.join()
    pids = [int(note.read_text()) for note in notes]
    wait_until(lambda: all(gone(pid) for pid in pids), 20, what="the groups' end")
