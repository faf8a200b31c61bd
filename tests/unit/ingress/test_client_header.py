"""The two forms in which proxies pass client certificates on."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress import certificate, client_header
from tests.house.certificates import authority, issued

ROOT = authority()
ONE = issued(ROOT, "CN=hooks,O=Vendor", dns=["hooks.vendor.example"], uris=["spiffe://vendor/hooks"])
TWO = issued(ROOT, "CN=other")
WHO = certificate.of_der(ONE.der)
B64 = base64.b64encode(ONE.der).decode()
QUOTED = quote(ONE.pem, safe="")


@pytest.mark.parametrize(
    "value",
    [
        QUOTED,
        quote(ONE.pem, safe="+=/"),
        ONE.pem.replace("\n", "\n\t").strip(),
        ONE.pem.replace("\n", " "),
        B64,
        quote(B64, safe=""),
        f":{B64}:",
        f"{B64},{base64.b64encode(ROOT.der).decode()}",
        QUOTED + quote(ROOT.pem, safe=""),
    ],
    ids=["escaped", "aws", "folded", "spaces", "haproxy", "escaped base64", "rfc9440", "traefik chain", "pem chain"],
)
def test_the_certificate_alone_is_read_in_every_spelling_of_proxies(value: str) -> None:
    assert client_header.read("pem", [value]) == WHO


@pytest.mark.parametrize("values", [[], [""], ["(null)"], ["%00"], ["é"], [B64[:-9]], [QUOTED, QUOTED], ["a" * 20_000]])
@pytest.mark.parametrize("form", ["pem", "xfcc"])
def test_a_header_that_cannot_be_read_names_nobody(form: str, values: list[str]) -> None:
    assert client_header.read(form, values) is None


def test_xfcc_with_a_certificate_is_the_certificates_word() -> None:
    value = f'By=spiffe://us;Hash={"a" * 64};Cert="{QUOTED}";Subject="CN=admin";URI=spiffe://admin;DNS=admin.example'
    assert client_header.read("xfcc", [value]) == WHO


def test_xfcc_without_one_tells_the_names() -> None:
    value = f'By=spiffe://us;Hash={"AB" * 32};Subject="O=Vendor\\, Inc,CN=hooks";URI=spiffe://v/1;DNS=a.example;DNS=b.example'
    found = client_header.read("xfcc", [value])
    assert found is not None
    assert found.subject == certificate.attributes("CN=hooks,O=Vendor\\, Inc")
    assert (found.uris, found.dns, found.fingerprint) == (("spiffe://v/1",), ("a.example", "b.example"), "ab" * 32)
    assert found.certificate is None


def test_of_several_elements_the_last_counts_which_our_proxy_wrote() -> None:
    told = "URI=spiffe://admin"
    ours = "By=spiffe://us;URI=spiffe://vendor/hooks"
    for values in ([f"{told},{ours}"], [told, ours]):
        found = client_header.read("xfcc", values)
        assert found is not None
        assert found.uris == ("spiffe://vendor/hooks",)


@pytest.mark.parametrize(
    "value",
    [
        'Subject="CN=admin',
        'URI=spiffe://vendor,Subject="CN=a"b',
        "URI=spiffe://admin,",
        "URI",
        "By=spiffe://us;Hash=aa",
        "URI=a;;URI=b",
        'Subject="/C=US/CN=hooks"',
        'Subject="CN=a\\\\",O=x\\;URI=spiffe://admin\\;B=";URI=spiffe://vendor',
        'Cert="nonsense";URI=spiffe://admin',
    ],
)
def test_an_xfcc_that_is_odd_anywhere_names_nobody(value: str) -> None:
    assert client_header.read("xfcc", [value]) is None


@given(st.sampled_from(["pem", "xfcc"]), st.lists(st.text(st.characters(max_codepoint=255)), max_size=3))
def test_reading_is_total(form: str, values: list[str]) -> None:
    client_header.read(form, values)


@given(
    st.lists(st.sampled_from(["URI=a", 'Subject="CN=a"', ",", ";", '"', "\\", "=", "Cert=", QUOTED[:40]]), max_size=12)
)
def test_reading_xfcc_is_total_on_pieces_of_it(pieces: list[str]) -> None:
    client_header.read("xfcc", ["".join(pieces)])
