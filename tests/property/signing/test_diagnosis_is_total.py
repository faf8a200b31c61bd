"""Whatever is sent, the diagnosis ends with words and inside its bounds, and never calls a refused request right."""

from hypothesis import given
from hypothesis import strategies as st

from ingress.diagnosis import Budget, Case, Secret, diagnose
from schemas.signing import SignedRequest, Valid, verify_any
from schemas.vendors import VENDORS

PLATFORMS = sorted(name for name, vendor in VENDORS.items() if vendor.schemes)
NAMES = sorted({scheme.container.header for vendor in VENDORS.values() for scheme in vendor.schemes} - {""})
TIMES = sorted(
    {s.freshness.name for v in VENDORS.values() for s in v.schemes if s.freshness and s.freshness.source == "header"}
)
LATIN = st.text(st.characters(max_codepoint=255), max_size=80)
VALUES = st.one_of(
    LATIN,
    st.from_regex(r"(t=[0-9]{0,12},)?(v[01]=|sha256=|v1,)?[0-9a-fA-F]{64}", fullmatch=True),
    st.from_regex(r"(v1,|v1a,)?[A-Za-z0-9+/_-]{43}=?( v1,[A-Za-z0-9+/]{43}=)?", fullmatch=True),
    st.integers(0, 10**18).map(str),
    st.just("***"),
)
HEADERS = st.lists(
    st.tuples(st.one_of(st.sampled_from(NAMES), st.sampled_from(NAMES).map(lambda name: name.replace("-", "_")),
                        st.sampled_from(TIMES), st.sampled_from(["Content-Type", "Content-Length", "Host"]), LATIN),
              VALUES), max_size=6,
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists).map(repr).map(str.encode),
    st.sampled_from(
        [b"", b"[]", b'[{"a":1}', b'{"notificationItems":[1,{}]}', b"a=b&c", b"\x1f\x8b\x08", b'{"a":"\\ud800"}']
    ),
)
SECRETS = st.lists(
    st.one_of(st.binary(max_size=40), st.sampled_from([b"whsec_", b"whsec_AAAA", b"v1,whsec_AAAA", b"verify_token:x",
                                                       b"sk_live_x", b"%00", b"00" * 32])),
    max_size=4,
)  # fmt: skip


@given(st.sampled_from(PLATFORMS), HEADERS, BODIES, LATIN, SECRETS, st.floats(0, 4e9))
def test_a_refused_request_always_gets_words(
    platform: str, headers: list[tuple[str, str]], body: bytes, url: str, secrets: list[bytes], now: float
) -> None:
    schemes = VENDORS[platform].schemes
    request = SignedRequest("POST", f"https://hooks.example.com/{url}", tuple(headers), body)
    own = tuple(Secret(text) for text in secrets)
    budget = Budget(tries=200, bytes=1 << 20)
    findings = diagnose(Case(platform, schemes, request, own, now, "https://hooks.example.com"), budget)
    keys = [b"" if text.startswith(b"verify_token:") else text for text in secrets]
    right = isinstance(verify_any(schemes, request, keys, now)[1], Valid)
    assert bool(findings) is not right
    assert all(10 < len(one.detail) < 2000 for one in findings)
    assert budget.used <= 200
