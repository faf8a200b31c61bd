"""What may become of a signed request on its way, and what we must say to it: the vectors of our own.

Lives here: cases made from senders (roster.py), the same for each scheme where they make sense. Not here: judging.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from schemas.reasons import Reason
from tests.contract.vendors.senders import NOW, Sender, Sent, encoded, placed, send, signature

MISSING, MALFORMED = Reason.SIGNATURE_MISSING, Reason.SIGNATURE_MALFORMED
MISMATCH, NO_SECRET = Reason.SIGNATURE_MISMATCH, Reason.NO_SECRET
SIGN_URL = frozenset({"twilio", "square", "hubspot", "hubspot-v2"})


@dataclass(frozen=True)
class Case:
    """A request and the verdict on it: the index of the secret that must match, or why none may (None: any reason)."""

    name: str
    sender: Sender
    sent: Sent
    secrets: tuple[str, ...] = field(repr=False)
    expect: int | Reason | None
    now: float = NOW


def of(sender: Sender) -> Iterator[Case]:
    """Yield the cases of one sender."""
    for part in (_secrets, _texts, _bodies, _times, _algorithms, _headers, _urls, _versions, _items):
        yield from part(sender)


def _make(sender: Sender) -> Callable[..., Case]:
    def make(name: str, sent: Sent, expect: int | Reason | None, **other: object) -> Case:
        return replace(Case(name, sender, sent, (sender.secrets[0],), expect), **other)  # type: ignore[arg-type]

    return make


def _secrets(sender: Sender) -> Iterator[Case]:
    """Rotation, retired and empty secrets."""
    case, sent = _make(sender), send(sender, NOW)
    own, other = sender.secrets
    yield case("valid", sent, 0)
    yield case("rotated-in", sent, 1, secrets=(other, own))
    yield case("empty-secret-is-skipped", sent, 1, secrets=("", own))
    yield case("retired-secret", sent, MISMATCH, secrets=(other,))
    yield case("only-empty-secrets", sent, NO_SECRET, secrets=("", ""))
    yield case("no-secret", sent, NO_SECRET, secrets=())
    if sender.encoding != "text":
        empty = send(sender, NOW, seal=_with_empty_key(sender))
        yield case("signed-with-an-empty-secret", empty, None, secrets=("",))


def _with_empty_key(sender: Sender) -> Callable[[str, bytes], bytes]:
    def seal(_secret: str, message: bytes) -> bytes:
        try:
            return sender.seal("", message)
        except ValueError:
            return b"\0" * 32

    return seal


def _texts(sender: Sender) -> Iterator[Case]:
    """Signature texts that are missing, cut, odd or too long."""
    case, sent = _make(sender), send(sender, NOW)
    said = signature(sender, sent)
    yield case("signature-missing", placed(sender, sent, None), MISSING)
    yield case("signature-empty", placed(sender, sent, ""), None)
    yield case("signature-odd", placed(sender, sent, "not a signature!"), None)
    yield case("signature-cut", placed(sender, sent, said[:-1]), None)
    yield case("signature-longer", placed(sender, sent, said + "0"), None)
    yield case("signature-of-another-encoding", placed(sender, sent, said.encode().hex()), None)
    if sender.place == "header":
        yield case("signature-not-ascii", placed(sender, sent, said[:-3] + "\xe9\xff\u2615"), None)
        yield case("signature-of-5000-characters", placed(sender, sent, said + "0" * 5000), MALFORMED)
        yield case("signature-of-bare-separators", placed(sender, sent, ",;= ,;= "), None)


def _bodies(sender: Sender) -> Iterator[Case]:
    """Bodies that changed on the way; what a proof does not cover may change, which its coverage says."""
    case, sent = _make(sender), send(sender, NOW)
    covered = sender.coverage == "full"
    body = sent.body
    yield case(
        "newline-added", replace(sent, body=body + b"\n"), (MISMATCH if covered else 0) if _is_json(body) else None
    )
    yield case(
        "body-lost", replace(sent, body=b""), 0 if sender.coverage == "none" and sender.place != "items" else None
    )
    if covered:
        yield case("one-byte-changed", replace(sent, body=body[:-4] + bytes([body[-4] ^ 1]) + body[-3:]), None)
        yield case("stripped", replace(sent, body=body[1:]), None)
    if _is_json(body) and sender.place != "items":
        again = json.dumps(json.loads(body), separators=(",", ":")).encode()
        encoded_anew = again if sender.coverage != "partial" else again.replace(b"track", b"tracK")
        yield case("encoded-anew", replace(sent, body=encoded_anew), 0 if sender.coverage == "none" else MISMATCH)
    if covered and sender.place == "header" and sender.vendor not in {"linear", "twilio"}:
        yield case("body-of-no-bytes", send(sender, NOW, body=b""), 0)
        yield case("body-of-any-bytes", send(sender, NOW, body=bytes(range(256))), 0)


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in {b"{", b"["}


def _times(sender: Sender) -> Iterator[Case]:
    """Times at both edges of the tolerance, and times that are missing, odd or changed."""
    if sender.tolerance is None:
        return
    case, sent = _make(sender), send(sender, NOW)
    past, future = sender.tolerance
    yield case("old-at-the-edge", sent, 0, now=NOW + past)
    yield case("stale", sent, Reason.TIMESTAMP_STALE, now=NOW + past + 1)
    yield case("ahead-at-the-edge", sent, 0, now=NOW - future)
    yield case("future", sent, Reason.TIMESTAMP_FUTURE, now=NOW - future - 1)
    if not sender.time_header:
        return
    for name, text in (("odd", "soon"), ("negative", "-1"), ("empty", ""), ("huge", "9" * 400), ("float", "1e9")):
        yield case(f"time-{name}", _timed(sender, sent, text), Reason.TIMESTAMP_MISSING)
    yield case("time-missing", _timed(sender, sent, None), Reason.TIMESTAMP_MISSING)
    yield case("time-not-ascii", _timed(sender, sent, sender.stamp(NOW)[:-1] + "\u0663"), Reason.TIMESTAMP_MISSING)
    yield case("time-changed", _timed(sender, sent, sender.stamp(NOW + 1)), MISMATCH)


def _timed(sender: Sender, sent: Sent, text: str | None) -> Sent:
    rest = tuple(pair for pair in sent.headers if pair[0] != sender.time_header)
    return replace(sent, headers=rest if text is None else ((sender.time_header, text), *rest))


def _algorithms(sender: Sender) -> Iterator[Case]:
    """Signatures by another algorithm, under the right label; and the right one under another label."""
    case = _make(sender)
    for name, seal in sender.confused.items():
        yield case(f"algorithm-{name}", send(sender, NOW, seal=seal), None)
    sent = send(sender, NOW)
    said = signature(sender, sent)
    raw = said.rpartition("=")[2] if sender.encoding == "hex" else said
    for label in ("none=", "sha512=", "v2=", "SHA256=", "v1a="):
        yield case(f"label-{label}", placed(sender, sent, label + raw), None)


def _headers(sender: Sender) -> Iterator[Case]:
    """Signature headers given twice or in another case: the first of a name counts, as it does when it is stored."""
    if sender.place != "header":
        return
    case, sent = _make(sender), send(sender, NOW)
    said = signature(sender, sent)
    forged = sender.frame(encoded(sender, b"\0" * 32), sender.stamp(NOW))
    bare = placed(sender, sent, None)
    yield case("header-twice-forged-first", replace(bare, headers=((sender.header, forged), *sent.headers)), None)
    yield case("header-twice-forged-second", replace(sent, headers=(*sent.headers, (sender.header, forged))), 0)
    lower = tuple((name.lower(), value) for name, value in sent.headers)
    yield case("header-names-in-lower-case", replace(sent, headers=lower), 0)
    yield case("header-of-another-name", replace(bare, headers=(*bare.headers, ("X-" + sender.header, said))), MISSING)


def _urls(sender: Sender) -> Iterator[Case]:
    """URLs and methods that changed on the way, where they are signed; Twilio may sign the port or leave it out."""
    if sender.scheme not in SIGN_URL:
        return
    case, sent = _make(sender), send(sender, NOW)
    for name, old, new in (("scheme", "https:", "http:"), ("host", "hooks.", "hook."), ("path", "/in/", "/in//")):
        yield case(f"url-of-another-{name}", replace(sent, url=sent.url.replace(old, new)), MISMATCH)
    yield case("url-with-more-in-the-query", replace(sent, url=sent.url + "&b=2"), MISMATCH)
    method = 0 if sender.vendor in {"twilio", "square"} else MISMATCH
    yield case("another-method", replace(sent, method="PUT"), method)
    port = 0 if sender.vendor == "twilio" else MISMATCH
    with_port = replace(sender, url=sender.url.replace(".com/", ".com:443/"))
    yield case("signed-with-its-port", replace(send(with_port, NOW), url=sent.url), port)
    yield case("signed-without-its-port", replace(sent, url=with_port.url), port)
    other_port = replace(sender, url=sender.url.replace(".com/", ".com:8443/"))
    yield case("signed-with-the-port-that-is-called", send(other_port, NOW), 0)
    yield case("signed-without-the-port-that-is-called", replace(sent, url=other_port.url), port)
    yield case("signed-with-another-port", replace(send(other_port, NOW), url=sent.url), MISMATCH)


def _versions(sender: Sender) -> Iterator[Case]:
    """HubSpot's plain hashes under another version's label, and beside a v3 signature that is wrong."""
    if not sender.scheme.startswith("hubspot-v"):
        return
    case, sent = _make(sender), send(sender, NOW)
    name = "X-HubSpot-Signature-Version"
    rest = tuple(pair for pair in sent.headers if pair[0] != name)
    for version in ("v1", "v2", "v3", "V1", ""):
        if (name, version) not in sent.headers:
            yield case(f"version-{version}", replace(sent, headers=((name, version), *rest)), None)
    yield case("version-missing", replace(sent, headers=rest), MISSING)
    beside = (*sent.headers, ("X-HubSpot-Signature-v3", "AAAA"), ("X-HubSpot-Request-Timestamp", f"{NOW}000"))
    yield case("beside-a-wrong-v3", replace(sent, headers=beside), MISMATCH)


def _items(sender: Sender) -> Iterator[Case]:
    """Batches: every signed item counts, an unsigned tail may change, none is no batch."""
    if not sender.batch:
        return
    case, sent = _make(sender), send(sender, NOW)
    if sender.place == "header":
        changed = replace(sent, body=sent.body.replace(b"identify", b"alias"))
        yield case("second-item-forged-is-not-covered", changed, 0)
        yield case("first-item-forged", replace(sent, body=sent.body.replace(b"track", b"group")), MISMATCH)
        yield case("empty-batch", replace(sent, body=b"[]"), MALFORMED)
        return
    value = json.loads(sent.body)
    name = "value" if "value" in value else "notificationItems"
    first, second = value[name]
    other = json.dumps(second).replace("client-state-1", "x").replace('"pspReference": "2"', '"pspReference": "3"')
    yield case("second-item-forged", _with(sent, name, [first, json.loads(other)]), MISMATCH)
    yield case("empty-batch", _with(sent, name, []), MISSING)
    yield case("items-of-no-object", _with(sent, name, [7]), MISSING)
    yield case("items-of-no-array", _with(sent, name, {"0": first}), MISSING)
    yield case("no-items", replace(sent, body=b"{}"), MISSING)
    yield case("not-json", replace(sent, body=sent.body[:-2]), MALFORMED)


def _with(sent: Sent, name: str, items: object) -> Sent:
    return replace(sent, body=json.dumps({name: items}).encode())
