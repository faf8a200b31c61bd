"""The listener's contexts and files, by handshakes in memory: no socket, no event loop."""

import os
import ssl
from pathlib import Path

import pytest

from ingress import tls
from ingress.tls import Files, Listener
from schemas.errors import ConfigurationError
from schemas.reasons import Reason
from schemas.settings.processes import IngressSettings
from tests.house.certificates import DAY, Held, authority, issued, revocations

ROOT, OTHER = authority("Root"), authority("Other Root")


class Place:
    """The files of a listener in a folder, and what it said of failed handshakes."""

    def __init__(self, folder: Path, *, clients: tuple[Held, ...] = (ROOT,), revoked: str | None = None) -> None:
        self.folder = folder
        self.serve(issued(ROOT, "localhost", server=True))
        self.take(*clients)
        if revoked is not None:
            (folder / "crl.pem").write_text(revoked)
        self.files = Files(
            folder / "server.pem", folder / "server.key", folder / "ca.pem", folder / "crl.pem" if revoked else None
        )
        self.listener = Listener.open(self.files)
        self.heard: list[tuple[Reason, str]] = []
        self.listener.note = lambda reason, words: self.heard.append((reason, words))

    def serve(self, held: Held) -> None:
        held.write(self.folder, "server")
        self.serving = held

    def take(self, *authorities: Held) -> None:
        (self.folder / "ca.pem").write_text("".join(each.pem for each in authorities))

    def meet(self, client: Held | None = None, chain: tuple[Held, ...] = ()) -> tuple[bytes, ssl.SSLObject]:
        """Make one connection as the event loop does; return the server certificate that was seen, and our side."""
        context = ssl.create_default_context(cadata=ROOT.pem)
        if client is not None:
            context.load_cert_chain(*client.write(self.folder, "client", chain))
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        theirs = context.wrap_bio(down, up, server_hostname="localhost")
        ours = self.listener.wrap_bio(up, down, server_side=True)
        waiting = [theirs, ours]
        for _ in range(10):
            for side in list(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    if side is ours and not waiting[1:]:
                        theirs.read()  # the alert, if there is one
            if not waiting:
                seen = theirs.getpeercert(binary_form=True)
                assert seen is not None
                return seen, ours
        raise AssertionError("the handshake does not end")


def test_a_client_certificate_is_asked_for_and_kept(tmp_path: Path) -> None:
    place, client = Place(tmp_path), issued(ROOT)
    assert place.meet(client)[1].getpeercert(binary_form=True) == client.der


def test_who_presents_none_is_let_in_for_the_sources_that_want_none(tmp_path: Path) -> None:
    assert Place(tmp_path).meet()[1].getpeercert(binary_form=True) is None


@pytest.mark.parametrize(
    ("client", "reason", "words", "alert"),
    [
        (issued(OTHER), Reason.CERTIFICATE_UNTRUSTED, "unable to get local issuer certificate", "UNKNOWN_CA"),
        (issued(ROOT, ends=-DAY / 2), Reason.CERTIFICATE_EXPIRED, "certificate has expired", "CERTIFICATE_EXPIRED"),
        (issued(ROOT, begins=DAY / 2), Reason.CERTIFICATE_EXPIRED, "certificate is not yet valid", "BAD_CERTIFICATE"),
        (
            issued(ROOT, server=True),
            Reason.CERTIFICATE_UNTRUSTED,
            "unsuitable certificate purpose",
            "UNSUPPORTED_CERTIFICATE",
        ),
        (
            issued(authority("Root")),
            Reason.CERTIFICATE_UNTRUSTED,
            "unable to get local issuer certificate",
            "UNKNOWN_CA",
        ),
    ],
    ids=["foreign", "expired", "early", "a server's", "false authority of the same name"],
)
def test_a_handshake_is_refused_with_its_reason_and_the_client_is_told(
    tmp_path: Path, client: Held, reason: Reason, words: str, alert: str
) -> None:
    place = Place(tmp_path)
    with pytest.raises(ssl.SSLError, match=alert):
        place.meet(client)
    assert place.heard == [(reason, words)]


def test_what_is_no_tls_is_told_too(tmp_path: Path) -> None:
    place, up = Place(tmp_path), ssl.MemoryBIO()
    up.write(b"POST /in/secret HTTP/1.1\r\n\r\n")
    ours = place.listener.wrap_bio(up, ssl.MemoryBIO(), server_side=True)
    for _ in range(tls.MAX_WAITS):
        with pytest.raises(ssl.SSLWantReadError):
            ours.do_handshake()
    with pytest.raises(ssl.SSLError, match="HTTP_REQUEST"):
        ours.do_handshake()
    assert place.heard == [(Reason.BAD_REQUEST, "HTTP_REQUEST")]


def test_a_chain_sent_by_the_client_leads_to_its_root(tmp_path: Path) -> None:
    middle = authority("Issuing", ROOT)
    client = issued(middle)
    assert Place(tmp_path).meet(client, (middle,))[1].getpeercert(binary_form=True) == client.der


def test_an_intermediate_alone_can_be_trusted(tmp_path: Path) -> None:
    middle = authority("Issuing", ROOT)
    place = Place(tmp_path, clients=(middle,))
    place.meet(issued(middle), (middle,))
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        place.meet(issued(ROOT))


def test_new_files_count_for_new_handshakes_and_old_connections_go_on(tmp_path: Path) -> None:
    place, client = Place(tmp_path), issued(ROOT)
    first, old = place.meet(client)
    assert first == place.serving.der
    place.serve(issued(ROOT, "localhost", server=True))
    assert place.listener.reload()
    second, new = place.meet(client)
    assert second == place.serving.der != first
    assert place.listener.is_current(old.context)
    assert place.listener.is_current(new.context)
    assert old.getpeercert(binary_form=True) == client.der


def test_a_new_authority_is_taken_and_a_removed_one_refused(tmp_path: Path) -> None:
    place, client = Place(tmp_path), issued(ROOT)
    _, old = place.meet(client)
    place.take(OTHER)
    assert place.listener.reload()
    place.meet(issued(OTHER))
    with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
        place.meet(client)
    assert not place.listener.is_current(old.context)


def test_unchanged_files_make_nothing_new(tmp_path: Path) -> None:
    place = Place(tmp_path)
    os.utime(tmp_path / "server.pem", (1, 1))
    assert not place.listener.reload()


@pytest.mark.parametrize("name", ["server.pem", "server.key", "ca.pem"])
@pytest.mark.parametrize("text", ["", "nonsense", issued(OTHER).pem])
def test_files_that_cannot_be_used_change_nothing_and_are_told_once(tmp_path: Path, name: str, text: str) -> None:
    place, client = Place(tmp_path), issued(ROOT)
    kept = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match="HOOKBERG_INGEST_TLS_"):
        place.listener.reload()
    assert not place.listener.reload()
    assert place.meet(client)[0] == place.serving.der
    (tmp_path / name).write_text(kept)
    assert place.listener.reload()
    assert place.meet(client)[0] == place.serving.der


def test_a_file_that_is_gone_for_a_moment_changes_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "server.key").rename(tmp_path / "away")
    with pytest.raises(ConfigurationError, match=r"HOOKBERG_INGEST_TLS_KEY_FILE=.*No such file"):
        place.listener.reload()
    (tmp_path / "away").rename(tmp_path / "server.key")
    assert not place.listener.reload()
    place.meet()


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    place, held = Place(tmp_path), issued(ROOT, "localhost", server=True)
    held.write(tmp_path, "server")
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = held.key.private_bytes(pem, kind, serialization.BestAvailableEncryption(b"pass"))
    (tmp_path / "server.key").write_bytes(locked)
    with pytest.raises(ConfigurationError, match="not encrypted"):
        place.listener.reload()


def test_lists_of_revoked_certificates_are_read_and_renewed(tmp_path: Path) -> None:
    one, two = issued(ROOT), issued(ROOT)
    place = Place(tmp_path, clients=(ROOT, OTHER), revoked=revocations(ROOT, [one]) + revocations(OTHER, []))
    trust = place.listener.trust
    assert trust.revoked[ROOT.certificate.subject] == {one.certificate.serial_number}
    assert trust.revoked[OTHER.certificate.subject] == frozenset()
    assert trust.lists_until_s is not None
    (tmp_path / "crl.pem").write_text(revocations(ROOT, [one, two]))
    assert place.listener.reload()
    assert len(place.listener.trust.revoked[ROOT.certificate.subject]) == 2


@pytest.mark.parametrize("text", [" ", "nonsense", revocations(authority("Root"), [])], ids=["", "odd", "false"])
def test_a_list_that_its_authority_did_not_sign_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="HOOKBERG_INGEST_TLS_CLIENT_CRL_FILE"):
        Place(tmp_path, revoked=text)


def test_a_list_of_an_authority_that_left_is_left_out(tmp_path: Path) -> None:
    place = Place(tmp_path, clients=(ROOT, OTHER), revoked=revocations(ROOT, []) + revocations(OTHER, []))
    place.take(ROOT)
    assert place.listener.reload()
    assert place.listener.trust.revoked == {ROOT.certificate.subject: frozenset()}


def test_the_settings_say_what_is_missing() -> None:
    def settings(**given: str) -> IngressSettings:
        needed = {"kafka_bootstrap_servers": "k:1", "registry_url": "sqlite://", "ingest_tls_port": 1}
        return IngressSettings.model_validate({**needed, **given})

    with pytest.raises(ConfigurationError, match="HOOKBERG_INGEST_TLS_KEY_FILE"):
        tls.files(settings(ingest_tls_cert_file="a"))
    with pytest.raises(ConfigurationError, match="HOOKBERG_INGEST_TLS_CLIENT_CA_FILE"):
        tls.files(settings(ingest_tls_cert_file="a", ingest_tls_key_file="b", ingest_tls_client_crl_file="c"))
