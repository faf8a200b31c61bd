"""Whatever text is an endpoint: it is read, refused or shown without an exception, and by everyone alike."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from schemas.backing.egress import Guard, HttpEgress, shown
from schemas.backing.egress.guard import split
from schemas.reasons import Reason

PARTS = (
    "http", "https", "://", ":", "//", "/", "\\", "@", "#", "?", "%", "%00", "%2e", "[", "]", "::1", "::ffff:",
    ".", "..", "127.0.0.1", "0x7f.1", "0177.0.0.1", "2130706433", "169.254.169.254", "localhost", "example.com",
    "a" * 64, "xn--", ":80", ":443", ":0", ":99999", ":x", " ", "\t", "\r\n", "\x00", "\u200b", "\uff0e", "\u3002",
    "\u2044", "user", "secret-part",
)  # fmt: skip
texts = st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=9).map("".join)
urls = texts | st.builds("{}://{}".format, st.sampled_from(("http", "https")), texts)
hosts = st.ip_addresses().map(lambda one: f"[{one}]" if one.version == 6 else str(one)) | st.from_regex(
    r"[a-zA-Z0-9_.-]{1,30}", fullmatch=True
)
plain = st.builds("https://{}{}/{}".format, hosts, st.sampled_from(("", ":8443", ":1", ":65535")), texts)


@settings(max_examples=200, deadline=None)
@given(url=urls | plain)
def test_a_url_that_is_not_refused_is_read_alike_and_leads_to_no_private_address(url: str) -> None:
    guard = Guard(allow_http=True)
    refusal = guard.refusal(url)
    assert refusal is None or refusal
    if refusal is None:
        parts, called = split(url), URL(url, encoded=True)
        assert (called.scheme, called.host, called.user) == (parts.scheme, parts.hostname, None)
        assert called.port == (parts.port or {"http": 80, "https": 443}[parts.scheme])
        assert url.isascii()
        assert url.isprintable()
        try:
            address = ipaddress.ip_address(parts.hostname or "")
        except ValueError:
            assert not (parts.hostname or "1").rpartition(".")[2][0].isdigit()  # what resolvers read as a number
        else:
            assert guard.allows(address)


@settings(max_examples=200, deadline=None)
@given(url=urls | plain)
def test_a_url_is_shown_without_what_may_be_a_secret(url: str) -> None:
    text = shown(url)
    assert text == "…" or text.startswith(("http://", "https://"))
    rest = text.partition("://")[2].partition("/")[2].removesuffix("?…").removesuffix("/…")
    assert "/" not in rest
    assert len(rest) <= 27
    tail = url.partition("?")[2]
    assert len(tail) < 12 or tail not in text


async def _nowhere(_host: str, _port: int) -> tuple[str, ...]:
    return ()


OUT = HttpEgress(Guard(), resolve=_nowhere)


@settings(max_examples=200, deadline=None)
@given(url=urls, headers=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=2))
async def test_a_post_to_any_text_is_an_answer(url: str, headers: list[tuple[str, str]]) -> None:
    got = await OUT.post(url, headers=headers, body=b"", timeout_s=5, limit_bytes=1)
    assert got.status is None
    assert got.reason in {Reason.ENDPOINT_FORBIDDEN, Reason.NAME_UNRESOLVED}
