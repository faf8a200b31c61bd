"""`hookberg doctor`: each failure is judged, said with what to do, and ends with its exit code, within a time."""

import datetime as dt
import io
import json
import socket
import sqlite3
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from rich.console import Console

from deploy.cli import doctor
from deploy.doctor import Where, doors, machine, probes
from deploy.doctor.settings import DoctorSettings
from deploy.local.folder import ensure_keys, open_folder
from deploy.processes.prepare import migrate
from schemas import settings
from schemas.backing.kafka import layout
from schemas.backing.probe import Finding, Probe, Status, broker_version, cluster, examine, fail, ok, store, warn
from schemas.definitions.source import SourceDefinition
from schemas.errors import ConfigurationError
from schemas.settings import KafkaSettings, MigrateSettings
from tests.fakes.clock import ManualClock
from tests.house import certificates

NOW = dt.datetime(2026, 3, 18, tzinfo=dt.UTC)
KAFKA = KafkaSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})


def status(found: list[Finding] | Finding, check: str = "") -> str:
    many = [found] if isinstance(found, Finding) else found
    return next(one.status.value for one in many if check in {"", one.check})


def local(folder: Path, **more: str) -> DoctorSettings:
    made = open_folder(folder)
    ensure_keys(made)
    env, running = doctor.of_folder(folder, {})
    assert not running
    given = settings.load(DoctorSettings, settings.KNOWN, env | more)
    migrate(settings.load(MigrateSettings, settings.KNOWN, env | more))
    return given


# ---- all together
def test_probes_run_side_by_side_and_end_in_time() -> None:
    hangs, both = threading.Event(), threading.Barrier(2)

    def met() -> list[Finding]:
        both.wait(10)
        return [ok("meets", "the other one")]

    def broken() -> list[Finding]:
        raise ValueError("postgresql://u:s3cret@host broke")

    asked = [
        Probe("hangs", lambda: [ok("x", str(hangs.wait(60)))], "wait"), Probe("a", met, ""), Probe("b", met, ""),
        Probe("broken", broken, "mend it"),
    ]  # fmt: skip
    late, first, second, raised = examine(asked, 1.0)
    hangs.set()
    assert (late.status, late.mend) == (Status.FAIL, "wait")
    assert (first.status, second.status) == (Status.OK, Status.OK)
    assert (raised.status, raised.mend) == (Status.FAIL, "mend it")
    assert "ValueError" in raised.detail
    assert "s3cret" not in raised.detail


@pytest.mark.parametrize(
    ("found", "code"),
    [([ok("a", "")], 0), ([ok("a", ""), warn("b", "", "")], 1), ([warn("b", "", ""), fail("c", "", "")], 2)],
)
def test_the_worst_finding_is_the_exit_code(found: list[Finding], code: int) -> None:
    assert doctor.code(found) == code


def test_what_is_wrong_is_shown_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    found = [ok("broker", "1 answers"), fail("registry", "no such table", "run `hookberg migrate`")]
    out = io.StringIO()
    doctor.show(found, as_json=False, console=Console(file=out))
    assert "→ run `hookberg migrate`" in out.getvalue()
    assert "1 ok, 0 to look after, 1 broken" in out.getvalue()
    doctor.show(found, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["findings"][1]["mend"]) == ("fail", "run `hookberg migrate`")


def test_a_folder_whose_server_is_down_says_so_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ASK_S", 0.5)
    given = local(tmp_path / "data")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    found = examine(probes(Where(given, ManualClock(), "w", local=True, running=False)), 20.0)
    said = {one.check: one for one in found}
    assert said["broker"].status is Status.FAIL
    assert "hookberg up" in said["broker"].mend
    assert {said[name].status for name in ("registry", "vault key", "catalog", "warehouse")} == {Status.OK}
    assert "api" not in said
    after = sorted(str(path) for path in tmp_path.rglob("*"))
    assert [path for path in after if path not in before and "catalog.db" not in path] == []


def test_settings_that_are_wrong_are_a_finding(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        doctor.where(tmp_path / "none", {})
    with pytest.raises(ConfigurationError):
        doctor.where(None, {"HOOKBERG_REGISTRY_URL": "sqlite:///x"})


# ---- registry and lake
def test_a_stale_registry_and_a_newer_one_are_told(tmp_path: Path) -> None:
    given = local(tmp_path / "data")
    for version, words in (("0001", "hookberg migrate"), ("9999", "newer")):
        with sqlite3.connect(tmp_path / "data" / "registry.db") as database:
            database.execute("UPDATE hookberg_version SET version_num = ?", (version,))
        database.close()
        found = store.registry(given, ManualClock(), lambda _: [])
        assert status(found, "registry") == "fail"
        assert words in found[0].detail + found[0].mend


def test_a_registry_without_its_database_is_a_failure(tmp_path: Path) -> None:
    given = local(tmp_path / "data")
    (tmp_path / "data" / "registry.db").unlink()
    [found] = examine([Probe("registry", lambda: store.registry(given, ManualClock(), lambda _: []), "start it")], 10.0)
    assert found.status is Status.FAIL


def test_a_vault_key_that_is_none_is_told(tmp_path: Path) -> None:
    given = local(tmp_path / "data")
    (tmp_path / "data" / "vault.key").write_text("short\n")
    assert status(store.registry(given, ManualClock(), lambda _: []), "vault key") == "fail"


def test_a_warehouse_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    given = local(tmp_path / "data")
    assert [one.status for one in store.warehouse(given, "w", NOW)] == [Status.OK]
    (tmp_path / "data" / "warehouse").rmdir()
    (tmp_path / "data" / "warehouse").write_text("a file where a folder should be")
    [found] = examine([Probe("warehouse", lambda: store.warehouse(given, "w", NOW), store.MEND_WAREHOUSE)], 10.0)
    assert (found.status, found.mend) == (Status.FAIL, store.MEND_WAREHOUSE)


# ---- Kafka
@pytest.mark.parametrize(
    ("level", "release", "judged"),
    [
        (27, "4.1", "ok"),
        (29, "4.2", "ok"),
        (30, "4.3", "warn"),
        (31, "4.4", "ok"),
        (21, "3.9", "ok"),
        (None, None, "warn"),
    ],
)
def test_kafkas_release_is_known_by_its_features(level: int | None, release: str | None, judged: str) -> None:
    assert broker_version.release(level) == release
    found = cluster.judged_release("b:1", level)
    assert found.status.value == judged
    assert ("KAFKA-20734" in found.detail) == (release == "4.3")


def test_a_brokers_answer_is_read_and_a_strange_one_refused() -> None:
    feature = b"\x11metadata.version" + struct.pack(">hh", 7, 30) + b"\0"
    other = b"\x0egroup.version" + struct.pack(">hh", 0, 1) + b"\0"
    features = b"\x03" + other + feature
    keys = b"\x02" + struct.pack(">hhh", 18, 0, 4) + b"\0"
    tags = b"\x02\x01\x08" + b"\0" * 8 + b"\x00" + bytes([len(features)]) + features
    answer = struct.pack(">ih", 1, 0) + keys + struct.pack(">i", 0) + tags
    assert broker_version.parse(answer) == 30
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            link, _ = server.accept()
            with link:
                link.recv(1000)
                link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(OSError, match="none of Kafka's"):
            broker_version.ask("127.0.0.1", server.getsockname()[1], 5.0)


@pytest.mark.parametrize(
    ("skew", "judged"), [(0.0, "ok"), (-4.9, "ok"), (5.0, "warn"), (-29.0, "warn"), (31.0, "fail")]
)
def test_a_clock_that_is_off_is_told(skew: float, judged: str) -> None:
    assert status(cluster.judged_skew(skew)) == judged


def test_a_topics_settings_are_compared_with_what_they_shall_be() -> None:
    [raw] = [one for one in layout.of_source("t", _definition(), 4) if one.kind == "webhook"]
    shall = layout.config(raw, KAFKA)
    assert cluster.judged_topic(raw, 3, 3, shall, KAFKA) == []
    longer = shall | {"retention.ms": "99999999999", "max.message.bytes": "99999999"}
    assert cluster.judged_topic(raw, 3, 3, longer, KAFKA) == []
    for change, judged in (
        ({"message.timestamp.type": "CreateTime"}, "fail"), ({"max.message.bytes": "1000"}, "fail"),
        ({"retention.ms": "3600000"}, "warn"), ({"min.insync.replicas": "1"}, "warn"),
    ):  # fmt: skip
        [found] = cluster.judged_topic(raw, 3, 3, shall | change, KAFKA)
        [setting] = change
        assert (found.status.value, f"--entity-name t.webhook.shop --add-config {setting}=" in found.mend) == (
            judged,
            True,
        )
    assert status(cluster.judged_topic(raw, 3, 1, shall, KAFKA)) == "fail"
    assert status(cluster.judged_topic(raw, 2, 2, shall, KAFKA)) == "warn"


def _definition() -> Any:
    return SourceDefinition.model_validate({"platform": "shop", "auth": {"type": "none"}})


# ---- this machine
def test_versions_are_compared_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("requests==0.1 \\\n    --hash=sha256:0\nno-such-package==1\n")
    found = machine.versions(lock)
    assert status(found, "python") == "ok"
    assert status(found, "packages") == "fail"
    assert "no-such-package missing" in found[1].detail
    lock.write_text("requests==0.1\n")
    assert status(machine.versions(lock), "packages") == "warn"
    assert status(machine.versions(tmp_path / "none"), "packages") == "ok"
    assert [machine.judged_python(version).status.value for version in ((3, 10), (3, 12), (3, 14))] == [
        "fail",
        "ok",
        "fail",
    ]


def test_few_open_files_and_little_space_are_told() -> None:
    limits = [(256, 512), (1024, 4096), (1024, 65536), (1024, -1)]
    assert [machine.judged_files(*each).status.value for each in limits] == ["fail", "warn", "ok", "ok"]
    spaces = [(100 << 20, 1 << 40), (2 << 30, 10 << 30), (40 << 30, 1 << 40), (200 << 30, 1 << 40)]
    assert [machine.judged_space("x", *each).status.value for each in spaces] == ["fail", "warn", "warn", "ok"]


def test_certificates_that_end_are_told_before_they_do(tmp_path: Path) -> None:
    pem = certificates.authority().pem
    file = tmp_path / "ca.pem"
    file.write_text(pem)
    ends = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    days = [ends + dt.timedelta(days=1), ends - dt.timedelta(days=5), ends - dt.timedelta(days=60)]
    assert [status(machine.certificates([file], now)) for now in days] == ["fail", "warn", "ok"]
    file.write_text("no certificate")
    assert status(machine.certificates([file, tmp_path / "none.pem"], NOW)) == "fail"


# ---- our processes
def test_a_process_is_ready_or_says_why() -> None:
    def get(url: str, **_: Any) -> requests.Response:
        if "8081" not in url:
            raise requests.ConnectionError
        made = requests.Response()
        made.status_code, made._content = 503, b'{"problems":{"broker":"away"}}'
        return made

    assert status(doors.ready("api", "0.0.0.0", 8080, must=True, get=get)) == "fail"
    assert status(doors.ready("api", "127.0.0.1", 8080, must=False, get=get)) == "warn"
    [found] = doors.ready("ingress", "0.0.0.0", 8081, must=True, get=get)
    assert found.status is Status.FAIL
    assert "away" in found.detail


@pytest.mark.parametrize(
    ("url", "laptop", "judged"),
    [("http://127.0.0.1:8081", True, "ok"), ("http://10.0.0.1", False, "warn"),
     ("https://hooks.example", False, "warn"), ("http://ingress:8081", False, "warn"),
     ("https://hooks.shop.com", False, "fail")],
)  # fmt: skip
def test_an_address_that_no_vendor_can_reach_is_told(url: str, laptop: bool, judged: str) -> None:
    def away(_url: str, **_: Any) -> requests.Response:
        raise requests.ConnectionError

    assert status(doors.reachable(url, local=laptop, get=away)) == judged
