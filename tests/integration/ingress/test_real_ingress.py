"""Secret URLs, secrets and client certificates at the public door of real processes, two workers on each socket."""

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.backing.registry import SYSTEM
from schemas.errors import Refused
from schemas.reasons import Reason
from tests.house.certificates import DAY, Held, authority, issued, revocations
from tests.house.polling import wait_until
from tests.integration.ingress.real import TENANT, Answer, Line, RealIngress, real_ingress

ROOT, OTHER = authority("Real Root"), authority("Other Root")
NAMES = ["hooks.vendor.example"]
RULE = {"type": "mtls", "dnsNames": NAMES}
PROXY = "127.0.0.9"
HEADER = "X-Client-Cert"
OK, NOT_FOUND = 200, 404


@dataclass(frozen=True)
class Files:
    """The files of the listener, which tests change."""

    folder: Path

    def serve(self) -> Held:
        """Put a new server certificate there."""
        made = issued(ROOT, "localhost", server=True)
        made.write(self.folder, "server")
        return made

    def take(self, *authorities: Held) -> None:
        (self.folder / "ca.pem").write_text("".join(each.pem for each in authorities))

    def revoke(self, *revoked: Held) -> None:
        (self.folder / "crl.pem").write_text(revocations(ROOT, revoked))

    def client(self, held: Held | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=ROOT.pem)
        if held is not None:
            context.load_cert_chain(*held.write(self.folder, f"client-{held.certificate.serial_number}"))
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(tmp_path_factory.mktemp("tls"))
    made.serve()
    made.take(ROOT)
    made.revoke()
    return made


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory, kafka_bootstrap: str, files: Files) -> Iterator[RealIngress]:
    settings = {
        "INGEST_TLS_CERT_FILE": str(files.folder / "server.pem"),
        "INGEST_TLS_KEY_FILE": str(files.folder / "server.key"),
        "INGEST_TLS_CLIENT_CA_FILE": str(files.folder / "ca.pem"),
        "INGEST_TLS_CLIENT_CRL_FILE": str(files.folder / "crl.pem"),
        "INGEST_TLS_RELOAD_S": "0.2",
        "TRUSTED_PROXIES": f"{PROXY}/32",
        "CLIENT_CERT_HEADER": HEADER,
    }
    with real_ingress(tmp_path_factory.mktemp("ingress"), kafka_bootstrap, **settings) as running:
        yield running


@pytest.fixture(autouse=True)
def lines_end(ingress: RealIngress) -> Iterator[None]:
    yield
    ingress.hang_up()


def becomes(line: Line, path: str, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the first answer of this status, which a change brings about within the deadline."""

    def answered() -> Answer | None:
        answer = line.post(path, headers)
        return answer if answer.status == status else None

    found = wait_until(answered, 30.0, what=f"{status} at {path[:4]}")
    assert found is not None
    return found


def statuses(lines: Iterable[Line], path: str, headers: Mapping[str, str] | None = None) -> set[int]:
    return {line.post(path, headers).status for line in lines}


def opened(ingress: RealIngress, path: str) -> None:
    """Wait until both workers know a source that was made a moment ago: then it is no longer 404."""
    for line in ingress.lines().values():
        wait_until(lambda one=line: one.post(path).status != NOT_FOUND, 30.0, what="the source")  # type: ignore[misc]
        line.close()


def taken(ingress: RealIngress, tls: ssl.SSLContext, path: str) -> bool:
    """Tell whether eight new connections in a row are let in and their deliveries accepted."""
    try:
        return all(ingress.line(tls).post(path).status == OK for _ in range(8))
    except (ssl.SSLError, ConnectionError):
        return False


def test_a_revoked_url_is_gone_on_every_worker_and_the_other_stays(ingress: RealIngress) -> None:
    made, first_id, first = ingress.source({"type": "url"})
    sources = ingress.registry.sources
    _, token = sources.add_url(TENANT, made.id, actor=SYSTEM)
    with pytest.raises(Refused) as raised:
        sources.add_url(TENANT, made.id, actor=SYSTEM)
    assert raised.value.reason is Reason.IN_USE
    opened(ingress, first)
    lines = list(ingress.lines().values())
    assert len(lines) == 2
    assert statuses(lines, first) | statuses(lines, f"/in/{token}") == {200}
    sources.revoke_url(TENANT, made.id, first_id, actor=SYSTEM)
    for line in lines:
        gone = becomes(line, first, 404)
        assert gone == line.post("/in/" + "x" * 43)
    assert statuses(lines, f"/in/{token}") == {200}


def test_rotation_shows_which_secret_and_which_url_are_still_used(ingress: RealIngress) -> None:
    made, first_url, path = ingress.source({"type": "bearer", "secrets": ["old"]})
    sources = ingress.registry.sources
    opened(ingress, path)
    lines = list(ingress.lines().values())

    def last() -> dict[str, int | None]:
        secrets = {each.id: each.last_used_at_ms for each in sources.secrets(TENANT, made.id)}
        return secrets | {each.id: each.last_used_at_ms for each in sources.urls(TENANT, made.id)}

    def accepted() -> int:
        return ingress.registry.tallies.read(made.id).accepted

    def bearer(secret: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret}"}

    [old] = [each.id for each in sources.secrets(TENANT, made.id)]
    assert last() == {old: None, first_url: None}
    assert statuses(lines, path, bearer("old")) == {200}
    wait_until(lambda: accepted() == 2, 30.0, what="the counters of both workers")
    assert last()[old] is not None
    new = sources.add_secret(TENANT, made.id, b"new", actor=SYSTEM)
    for line in lines:
        becomes(line, path, 200, bearer("new"))
    wait_until(lambda: accepted() == 4, 30.0, what="the counters of both workers")
    before = last()
    assert statuses(lines, path, bearer("new")) == {200}
    wait_until(lambda: accepted() == 6, 30.0, what="the counters of both workers")
    after = last()
    assert after[old] == before[old]
    assert (after[new] or 0) > (before[new] or 0) > 0
    assert (after[first_url] or 0) > (after[old] or 0) > 0
    sources.remove_secret(TENANT, made.id, old, actor=SYSTEM)
    for line in lines:
        becomes(line, path, 401, bearer("old"))
    assert statuses(lines, path, bearer("new")) == {200}


def test_a_client_certificate_proves_its_source_on_every_worker(ingress: RealIngress, files: Files) -> None:
    _, _, path = ingress.source(RULE)
    opened(ingress, path)
    for line in ingress.lines(files.client(issued(ROOT, dns=NAMES))).values():
        assert line.post(path).status == 200
    for line in ingress.lines(files.client(issued(ROOT, dns=["other.example"]))).values():
        assert line.post(path).reason == "certificate_not_allowed"
    for line in (ingress.line(files.client(None)), ingress.line()):
        answer = line.post(path)
        assert (answer.status, answer.reason) == (401, "certificate_missing")
        assert "present one" in answer.json["detail"]


@pytest.mark.parametrize(
    ("client", "alert"),
    [
        (issued(OTHER, dns=NAMES), "UNKNOWN_CA"),
        (issued(authority("Real Root"), dns=NAMES), "UNKNOWN_CA"),
        (issued(ROOT, dns=NAMES, ends=-DAY / 2), "CERTIFICATE_EXPIRED"),
    ],
    ids=["foreign", "false", "expired"],
)
def test_a_certificate_that_no_authority_vouches_for_is_refused_by_an_alert(
    ingress: RealIngress, files: Files, client: Held, alert: str
) -> None:
    line = ingress.line(files.client(client))
    with pytest.raises(ssl.SSLError, match=alert):
        line.read()


def test_a_revoked_certificate_is_refused_on_connections_that_stand(ingress: RealIngress, files: Files) -> None:
    _, _, path = ingress.source(RULE)
    opened(ingress, path)
    client = issued(ROOT, dns=NAMES)
    lines = list(ingress.lines(files.client(client)).values())
    assert statuses(lines, path) == {200}
    files.revoke(client)
    for line in lines:
        answer = becomes(line, path, 401)
        assert (answer.reason, "successor" in answer.json["detail"]) == ("certificate_revoked", True)
    files.revoke()


def test_new_files_count_for_new_handshakes_without_a_restart(ingress: RealIngress, files: Files) -> None:
    _, _, path = ingress.source({**RULE, "ca": ROOT.pem + OTHER.pem})
    opened(ingress, path)
    workers, client = ingress.workers(), files.client(issued(ROOT, dns=NAMES))
    stands = list(ingress.lines(client).values())
    before = {line.certificate() for line in stands}
    made = files.serve()

    def seen() -> set[bytes]:
        return {line.certificate() for line in ingress.lines(client).values()}

    wait_until(lambda: seen() == {made.der}, 30.0, what="the new certificate on every worker")
    assert before.isdisjoint({made.der})
    assert statuses(stands, path) == {200}

    files.take(OTHER)
    wait_until(lambda: taken(ingress, files.client(issued(OTHER, dns=NAMES)), path), 30.0, what="the new authority")
    for line in stands:
        assert becomes(line, path, 401).reason == "certificate_untrusted"
    files.take(ROOT)
    wait_until(lambda: taken(ingress, client, path), 30.0, what="the authority of old")
    assert ingress.workers() == workers


def test_health_and_figures_are_not_shown_to_senders(ingress: RealIngress, files: Files) -> None:
    for path in ("/metrics", "/readyz", "/livez"):
        assert ingress.line().post(path).status == 405
        assert ingress.line(files.client(None)).post(path).reason == "not_found"


def test_only_a_trusted_proxy_passes_certificates_on(ingress: RealIngress) -> None:
    _, _, path = ingress.source(RULE)
    opened(ingress, path)
    passed = {HEADER: quote(issued(ROOT, dns=NAMES).pem, safe="")}
    stranger = {HEADER: quote(issued(ROOT, dns=["other.example"]).pem, safe="")}
    proxy, anybody = ingress.line(source=PROXY), ingress.line()
    assert proxy.post(path, passed).status == 200
    assert proxy.post(path, stranger).reason == "certificate_not_allowed"
    assert proxy.post(path).reason == "certificate_missing"
    assert anybody.post(path, passed).reason == "certificate_missing"


def test_what_is_stored_says_whose_certificate_it_was(ingress: RealIngress, files: Files, kafka_bootstrap: str) -> None:
    made, _, path = ingress.source(RULE)
    opened(ingress, path)
    assert ingress.line(files.client(issued(ROOT, dns=NAMES))).post(path).status == 200
    proofs = [json.loads(headers["hb-auth"]) for headers in read_all(kafka_bootstrap, made.topic, made.id)]
    assert [proof["scheme"] for proof in proofs] == ["mtls"]
    assert proofs[0]["secretId"].startswith("sha256:")


def read_all(bootstrap: str, topic: str, source_id: str) -> list[dict[str, bytes]]:
    """Return the headers of a source's records."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "audit", "enable.auto.commit": False})
    try:
        end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        for _ in range(end):
            message = consumer.poll(30)
            assert message is not None
            assert message.error() is None
            headers = dict(cast("list[tuple[str, bytes]]", message.headers()))
            if headers["hb-source-id"] == source_id.encode():
                found.append(headers)
        return found
    finally:
        consumer.close()
