"""What may become of a token on its way, what a forger may try, and what we must say to it.

Lives here: cases made from issuers (tokens.py), the same for each where they make sense. Not here: judging.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.reasons import Reason
from tests.contract.vendors.tokens import BODY, NOW, Issuer, b64, pem, public, rsa_key, token

UNKNOWN, MISMATCH, MALFORMED = Reason.TOKEN_KEY_UNKNOWN, Reason.TOKEN_MISMATCH, Reason.TOKEN_MALFORMED
CLAIM, ISSUER, AUDIENCE = Reason.TOKEN_CLAIM, Reason.TOKEN_ISSUER, Reason.TOKEN_AUDIENCE
ALGORITHM, MISSING, FOREIGN = Reason.TOKEN_ALGORITHM, Reason.TOKEN_MISSING, Reason.TOKEN_BODY


@dataclass(frozen=True)
class Case:
    """A request and the verdict on it: the id of the key that must match, or why none may (None: any reason)."""

    name: str
    issuer: Issuer
    expect: str | Reason | None
    headers: tuple[tuple[str, str], ...]
    keys: list[dict[str, Any]] | None
    secrets: tuple[bytes, ...] = field(repr=False, default=())
    body: bytes = BODY
    now: float = NOW
    auth: Mapping[str, Any] = field(default_factory=dict)


def of(issuer: Issuer) -> Iterator[Case]:
    """Yield the cases of one issuer."""
    for part in (_times, _claims, _headers, _texts, _algorithms, _keys, _secrets, _bodies):
        yield from part(issuer)


def _make(issuer: Issuer) -> Callable[..., Case]:
    """Return a maker of cases: a name, a token, what is expected, then what differs."""
    key = issuer.key()
    base = Case(
        "",
        issuer,
        None,
        (),
        None if issuer.shared else [issuer.jwk()],
        (key,) if isinstance(key, bytes) else (),
        auth=issuer.auth(),
    )

    def make(name: str, said: str, expect: str | Reason | None, **other: Any) -> Case:
        return replace(base, name=name, headers=(("Authorization", f"Bearer {said}"),), expect=expect, **other)

    return make


def good(issuer: Issuer) -> str:
    """Return how records call the issuer's first key."""
    return "sec-0" if issuer.shared else "kid-one"


def _times(issuer: Issuer) -> Iterator[Case]:
    """Times at both edges of the leeway (RFC 7519: at `exp` it has ended), and times that are none."""
    case, said, yes = _make(issuer), issuer.make(), good(issuer)
    end, leeway = NOW + 3600, issuer.leeway
    yield case("valid", said, yes)
    yield case("ends-at-the-edge", said, yes, now=end + leeway - 1)
    yield case("expired", said, Reason.TOKEN_EXPIRED, now=end + leeway)
    yield case("stale-by-a-day", said, Reason.TOKEN_EXPIRED, now=end + 86_400)
    yield case("begins-at-the-edge", said, yes, now=NOW - leeway)
    yield case("not-yet-valid", said, Reason.TOKEN_NOT_YET_VALID, now=NOW - leeway - 1)
    yield case("made-in-the-future", issuer.make(iat=NOW + leeway + 1), Reason.TOKEN_NOT_YET_VALID)
    yield case("without-nbf-and-iat", issuer.make(nbf=None, iat=None), yes)
    yield case("fraction-of-a-second", issuer.make(exp=NOW + 0.5), yes)
    for name, value in (("text", "9999999999"), ("true", True), ("list", [NOW + 9]), ("object", {})):
        yield case(f"exp-is-a-{name}", issuer.make(exp=value), CLAIM)
        yield case(f"nbf-is-a-{name}", issuer.make(nbf=value), CLAIM)
    yield case("without-exp", issuer.make(exp=None), CLAIM)
    yield case("exp-before-all-time", issuer.make(exp=-1), Reason.TOKEN_EXPIRED)
    for name in ("NaN", "Infinity", "1e999"):
        raw = json.dumps(issuer.said()).replace(str(NOW + 3600), name).encode()
        yield case(f"exp-is-{name}", _signed(issuer, raw), None)
    huge = json.dumps(issuer.said()).replace(str(NOW + 3600), "9" * 400).encode()
    yield case("exp-of-400-digits", _signed(issuer, huge), None)


def _signed(issuer: Issuer, payload: bytes, **head: Any) -> str:
    kid = {} if issuer.shared else {"kid": "kid-one"}
    return token({"alg": issuer.algorithm, **kid, **head}, payload, issuer.key())


def _claims(issuer: Issuer) -> Iterator[Case]:
    """Issuer, audience and the claims that a source requires."""
    case, yes, own = _make(issuer), good(issuer), issuer.issuer
    issuers = (None, "", "https://evil.example", own + "/", own.upper(), [own], 7, {"iss": own})
    for place, value in enumerate(issuers):
        yield case(f"issuer-{place}", issuer.make(iss=value), ISSUER)
    audiences: tuple[Any, ...] = (
        None,
        "",
        "api://other",
        issuer.audience + " ",
        [],
        ["api://other"],
        7,
        True,
        {issuer.audience: 1},
    )
    for place, bad in enumerate(audiences):
        yield case(f"audience-{place}", issuer.make(aud=bad), AUDIENCE)
    yield case("audience-among-others", issuer.make(aud=["api://other", 7, issuer.audience]), yes)
    yield case("second-audience-of-the-source", issuer.make(aud="b"), yes, auth=issuer.auth(audience=["a", "b"]))
    for name in issuer.more.get("requiredClaims", {}):
        wanted = issuer.claims[name]
        yield case(f"without-{name}", _made(issuer, name, None), CLAIM)
        for place, other in enumerate(("", "other", ["other"], [], {}, 1, True)):
            yield case(f"{name}-{place}", _made(issuer, name, other), CLAIM)
        yield case(
            f"{name}-among-others", _made(issuer, name, ["x", wanted] if isinstance(wanted, str) else wanted), yes
        )
    if issuer.platform != "teams":
        one = issuer.auth(requiredClaims={"email_verified": True, "n": [1, 2], "sub": "*"})
        yield case("required", issuer.make(email_verified=True, n=2, sub="x"), yes, auth=one)
        yield case("true-is-not-one", issuer.make(email_verified=1, n=2, sub="x"), CLAIM, auth=one)
        yield case("one-is-not-true", issuer.make(email_verified=True, n=True, sub="x"), CLAIM, auth=one)
        yield case("required-any-is-missing", issuer.make(email_verified=True, n=2), CLAIM, auth=one)


def _made(issuer: Issuer, name: str, value: object) -> str:
    """Make a token in which one claim says something else; None takes it away."""
    changed: dict[str, Any] = {name: value}
    return issuer.make(**changed)


def _headers(issuer: Issuer) -> Iterator[Case]:
    """The header that is missing, of another kind, given twice."""
    case, said, yes = _make(issuer), issuer.make(), good(issuer)
    bare = replace(case("", said, None), headers=())
    for place, text in enumerate(("", "Bearer", "Bearer ", f"Basic {said}", f"JWT {said}", said, f"Bearer{said}")):
        yield replace(bare, name=f"header-{place}", headers=(("Authorization", text),), expect=MISSING)
    yield replace(bare, name="header-missing", expect=MISSING)
    yield replace(bare, name="header-of-another-name", headers=(("X-Authorization", f"Bearer {said}"),), expect=MISSING)
    yield replace(bare, name="scheme-in-lower-case", headers=(("authorization", f"bearer  {said} "),), expect=yes)
    forged = _tampered(said)
    both = (("Authorization", f"Bearer {forged}"), ("Authorization", f"Bearer {said}"))
    yield replace(bare, name="twice-forged-first", headers=both, expect=MISMATCH)
    yield replace(bare, name="twice-forged-second", headers=both[::-1], expect=yes)


def _tampered(said: str) -> str:
    """Return a token whose claims were changed after it was signed."""
    head, payload, signature = said.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{head}.{b64(json.dumps({**claims, 'sub': 'admin'}).encode())}.{signature}"


def _texts(issuer: Issuer) -> Iterator[Case]:
    """Tokens that are cut, odd, too long, or no tokens."""
    case, said = _make(issuer), issuer.make()
    head, payload, signature = said.split(".")
    yield case("claims-changed", _tampered(said), MISMATCH)
    yield case("signature-of-another-token", f"{head}.{payload}.{issuer.make(sub='x').rpartition('.')[2]}", MISMATCH)
    yield case("signature-cut", said[:-2], None)
    yield case("signature-empty", f"{head}.{payload}.", MISMATCH)
    odd = (
        "a",
        "..",
        "a.b",
        f"{head}.{payload}",
        f"{said}.{signature}.{signature}",
        "!.!.!",
        f"{head}.{payload}.=",
        "\0",
    )
    for place, text in enumerate(odd):
        yield case(f"odd-{place}", text, MALFORMED)
    yield case("not-ascii", said[:-1] + "\xe9\u0663", MALFORMED)
    yield case("half-a-character", said + "\ud800", MALFORMED)
    yield case("too-long", issuer.make(sub="x" * 9000), MALFORMED)
    for place, raw in enumerate((b"", b"[]", b"7", b"null", b"{", b"\xff\xfe", b'{"iss":"\\ud800"}', b"[" * 3000)):
        yield case(f"payload-{place}", _signed(issuer, raw), MALFORMED)
    for place, raw in enumerate(
        (b"[]", b"{}", b"null", b"{", b"\xff", b'{"alg":7}', b'{"alg":["RS256"]}', b"[" * 3000)
    ):
        yield case(f"head-{place}", f"{b64(raw)}.{payload}.{signature}", MALFORMED)
    yield case("critical-header", issuer.make(head={"crit": ["exp"]}), MALFORMED)
    yield case("critical-header-that-changes-nothing", issuer.make(head={"b64": True, "crit": ["b64"]}), MALFORMED)
    yield case("unencoded-payload", issuer.make(head={"b64": False, "crit": ["b64"]}), MALFORMED)


def _algorithms(issuer: Issuer) -> Iterator[Case]:
    """Algorithms that the token chooses for itself, and MACs made with what everybody knows of a public key."""
    case, yes = _make(issuer), good(issuer)
    claims, kid = issuer.said(), {} if issuer.shared else {"kid": "kid-one"}
    body = b64(json.dumps(claims).encode())
    for name in (
        "none",
        "None",
        "NONE",
        "",
        "HS1",
        "RS1",
        "RSA-OAEP",
        f"{issuer.algorithm.lower()}",
        f" {issuer.algorithm}",
    ):
        head = b64(json.dumps({"alg": name, **kid}).encode())
        for place, signature in enumerate(("", b64(b"x" * 32), issuer.make().rpartition(".")[2])):
            yield case(f"algorithm-{name}-{place}", f"{head}.{body}.{signature}", ALGORITHM)
    other = "HS384" if issuer.algorithm != "HS384" else "HS256"
    if issuer.shared:
        yield case("another-hash", token({"alg": other}, claims, issuer.key()), ALGORITHM)
        yield case("public-key-of-a-stranger", token({"alg": "RS256"}, claims, rsa_key("stranger")), ALGORITHM)
        return
    key = issuer.key()
    assert not isinstance(key, bytes)
    texts = (pem(key).encode(), pem(key).strip().encode(), json.dumps(public(key, None)).encode(), b"", b"kid-one")
    for place, text in enumerate(texts):
        for name in ("HS256", "HS512"):
            begin = f"{b64(json.dumps({'alg': name, **kid}).encode())}.{body}"
            made = hmac.digest(text, begin.encode(), f"sha{name[2:]}")
            yield case(f"{name}-by-the-public-key-{place}", f"{begin}.{b64(made)}", ALGORITHM)
            under = f"{b64(json.dumps({'alg': issuer.algorithm, **kid}).encode())}.{body}"
            made = hmac.digest(text, under.encode(), f"sha{name[2:]}")
            yield case(f"{name}-under-the-right-name-{place}", f"{under}.{b64(made)}", MISMATCH)
    if issuer.algorithm == "RS256":
        yield case("another-hash", token({"alg": "RS512", **kid}, claims, key), ALGORITHM)
        yield case("another-padding", token({"alg": "PS256", **kid}, claims, key), ALGORITHM)
    theirs = public(rsa_key("stranger"), "kid-one")
    brought = {"jwk": theirs, "jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "x5c": ["MIIB"]}
    yield case("brings-its-own-key", token({"alg": "RS256", **kid, **brought}, claims, rsa_key("stranger")),
               MISMATCH if issuer.algorithm == "RS256" else ALGORITHM)  # fmt: skip
    yield case("brings-a-key-beside", issuer.make(head=brought), yes)


def _keys(issuer: Issuer) -> Iterator[Case]:
    """Rotation, and key ids that are missing, odd, of another key, of none."""
    if issuer.shared:
        return
    case, one, two = _make(issuer), issuer.jwk("one"), issuer.jwk("two")
    yield case("rotated-in", issuer.make(key="two"), "kid-two", keys=[one, two])
    yield case("rotated-out-still-there", issuer.make(), "kid-one", keys=[two, one])
    yield case("key-gone", issuer.make(), UNKNOWN, keys=[two])
    yield case("no-keys", issuer.make(), UNKNOWN, keys=[])
    yield case("keys-away", issuer.make(), Reason.TOKEN_KEYS_AWAY, keys=None)
    yield case("key-id-of-another-key", issuer.make(key="two", head={"kid": "kid-one"}), MISMATCH, keys=[one, two])
    yield case("key-id-unknown", issuer.make(head={"kid": "kid-three"}), UNKNOWN, keys=[one, two])
    yield case("key-id-unknown-and-expired", issuer.make(head={"kid": "x"}), Reason.TOKEN_EXPIRED, now=NOW + 9999)
    for place, kid in enumerate((7, ["kid-one"], {"kid": 1}, True, "k" * 257)):
        yield case(f"key-id-odd-{place}", issuer.make(head={"kid": kid}), MALFORMED)
    for place, kid in enumerate(("", "../../dev/null", "kid-one' OR '1'='1", "kid-one\0", "KID-ONE")):
        yield case(f"key-id-strange-{place}", issuer.make(head={"kid": kid}), UNKNOWN)
    no_kid = token({"alg": issuer.algorithm}, issuer.said(), issuer.key("two"))
    yield case("names-no-key", no_kid, "kid-two", keys=[one, two])
    yield case("names-no-key-of-many", no_kid, UNKNOWN, keys=[{**one, "kid": f"k{n}"} for n in range(8)] + [two])
    nameless = {name: value for name, value in one.items() if name != "kid"}
    yield case("key-without-a-name", issuer.make(), "sha256:", keys=[nameless])
    twice = [{**two, "kid": "kid-one"}, one]
    yield case("one-name-two-keys", issuer.make(), "kid-one", keys=twice)
    for name, changed in (("for-encryption", {"use": "enc"}), ("of-another-algorithm", {"alg": "RS384"}),
                          ("cannot-verify", {"key_ops": ["encrypt"]}), ("private", {"d": "AQAB"}),
                          ("unreadable", {"n": "", "x": "", "y": ""}), ("of-no-kind", {"kty": "none"}),
                          ("shared", {"kty": "oct", "k": "AAAA"})):  # fmt: skip
        yield case(f"key-{name}", issuer.make(), UNKNOWN, keys=[{**one, **changed}])
        yield case(f"key-{name}-beside", issuer.make(), "kid-one", keys=[{**two, **changed}, 7, None, [], one])
    if issuer.algorithm == "RS256":
        weak = public(rsa_key("weak", 1024), "kid-one", endorsements=["msteams"])
        said = token({"alg": "RS256", "kid": "kid-one"}, issuer.said(), rsa_key("weak", 1024))
        yield case("key-of-1024-bits", said, UNKNOWN, keys=[weak])


def _secrets(issuer: Issuer) -> Iterator[Case]:
    """Shared secrets: two-step rotation, secrets that are too short, empty, or somebody's public key."""
    if not issuer.shared:
        return
    case, said = _make(issuer), issuer.make()
    one, two = issuer.key("one"), issuer.key("two")
    assert isinstance(one, bytes)
    assert isinstance(two, bytes)
    yield case("rotated-in", said, "sec-1", secrets=(two, one))
    yield case("retired-secret", said, MISMATCH, secrets=(two,))
    yield case("wrong-key-id-names-nothing", issuer.make(head={"kid": "anything"}), "sec-0")
    yield case("no-secret", said, Reason.NO_SECRET, secrets=())
    yield case("empty-secret", said, Reason.NO_SECRET, secrets=(b"",))
    yield case("empty-secret-is-skipped", said, "sec-1", secrets=(b"", one))
    for name, weak in (("empty", b""), ("short", b"x" * 31), ("public-key", pem(rsa_key("one")).encode())):
        forged = token({"alg": issuer.algorithm}, issuer.said(), weak)
        yield case(f"signed-by-a-{name}", forged, Reason.NO_SECRET, secrets=(weak,))


def _bodies(issuer: Issuer) -> Iterator[Case]:
    """Bodies that changed: what a token does not cover may, which its coverage says."""
    case, said, yes = _make(issuer), issuer.make(), good(issuer)
    changed = BODY.replace(b"evt_1", b"evt_2")
    yield case("body-changed", said, yes if issuer.coverage == "none" else FOREIGN, body=changed)
    if issuer.coverage == "full":
        digest = hashlib.sha256(BODY).digest()
        name = issuer.more["bodyHashClaim"]
        forms = (digest.hex().upper(), base64.b64encode(digest).decode(), b64(digest))
        for place, right in enumerate(forms):
            yield case(f"hash-{place}", _made(issuer, name, right), yes)
        for place, wrong in enumerate(
            (None, "", 7, [digest.hex()], digest.hex()[:-1], "\xe9" * 64, "=" * 9, b64(b"x"))
        ):
            yield case(f"no-hash-{place}", _made(issuer, name, wrong), FOREIGN)
        for place, body in enumerate((b"", BODY + b"\n", BODY[1:])):
            yield case(f"another-body-{place}", said, FOREIGN, body=body)
    if issuer.platform == "teams":
        for place, body in enumerate((b"", b"[]", b"7", b"{", b"\xff", b"{}", b'{"serviceUrl":7,"channelId":7}',
                                      BODY.replace(b"smba", b"evil"), BODY.replace(b"msteams", b"webchat"),
                                      b"[" * 5000)):  # fmt: skip
            yield case(f"another-body-{place}", said, FOREIGN, body=body)
        for place, claim in enumerate((None, "", 7, ["https://smba.example/"], "https://smba.example")):
            yield case(f"service-url-{place}", issuer.make(serviceurl=claim), FOREIGN)
        for place, endorsed in enumerate((["webchat"], [], None, "msteams", [["msteams"]], {"msteams": 1})):
            key = {**issuer.jwk(), "endorsements": endorsed}
            yield case(f"endorsements-{place}", said, FOREIGN, keys=[key])
