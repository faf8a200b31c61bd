"""What certificates say of their owners, and which rules name them."""

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress import certificate, mtls
from ingress.mtls import Client, Trust
from schemas.definitions.auth_mtls import MtlsAuth
from schemas.definitions.base import read
from schemas.errors import Refused
from tests.house.certificates import DAY, Held, authority, issued

ROOT = authority()
SENDER = issued(
    ROOT,
    "CN=hooks,O=Vendor Inc,OU=Webhooks+OU=Europe,C=DE",
    dns=["hooks.vendor.example"],
    uris=["spiffe://vendor.example/hooks/eu"],
    emails=["Ops@Vendor.example"],
)


def who(held: Held = SENDER) -> certificate.Identity:
    found = certificate.of_der(held.der)
    assert found is not None
    return found


def allows(**rule: list[str]) -> bool:
    return certificate.allows(read(MtlsAuth, {"type": "mtls", **rule}), who())


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("CN=hooks,O=Vendor Inc,OU=Webhooks+OU=Europe,C=DE", True),
        ("C=DE,OU=Europe,OU=Webhooks,O=Vendor Inc,CN=hooks", True),
        ("CN=hooks", True),
        ("CN=hooks,O=Vendor Inc", True),
        ("CN=Hooks", False),
        ("CN=hooks,O=Other", False),
        ("O=hooks", False),
        ("CN=hooks,ST=Berlin", False),
        ("CN=hook", False),
    ],
)
def test_a_subject_is_named_by_attributes_all_of_which_it_has(subject: str, *, named: bool) -> None:
    assert allows(subjects=[subject]) is named


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("hooks.vendor.example", True),
        ("HOOKS.Vendor.example.", True),
        ("*.vendor.example", True),
        ("*.hooks.vendor.example", False),
        ("vendor.example", False),
        ("ooks.vendor.example", False),
    ],
)
def test_a_dns_name_is_compared_by_labels(name: str, *, named: bool) -> None:
    assert allows(dnsNames=[name]) is named


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("spiffe://vendor.example/hooks/eu", True),
        ("spiffe://vendor.example/*", True),
        ("spiffe://vendor.example/hooks/*", True),
        ("spiffe://vendor.example/hooks/eu/*", False),
        ("spiffe://vendor.example/hooks/e*", False),
        ("spiffe://vendor.example/hooks", False),
        ("SPIFFE://vendor.example/hooks/eu", False),
    ],
)
def test_a_uri_is_compared_exactly_or_by_what_is_above_it(uri: str, *, named: bool) -> None:
    assert allows(uris=[uri]) is named


@pytest.mark.parametrize(
    ("email", "named"),
    [("Ops@Vendor.example", True), ("Ops@vendor.EXAMPLE", True), ("ops@vendor.example", False), ("s@x.y", False)],
)
def test_an_email_is_compared_by_its_local_part_exactly_and_its_domain_without_case(email: str, *, named: bool) -> None:
    assert allows(emails=[email]) is named


def test_a_name_in_one_list_never_matches_a_rule_of_another() -> None:
    mixed = issued(ROOT, "a.example", uris=["https://b.example"], emails=["c@d.example"])
    rule = read(MtlsAuth, {"type": "mtls", "dnsNames": ["a.example", "b.example", "d.example"]})
    assert not certificate.allows(rule, who(mixed))


def test_a_wildcard_in_a_certificate_stands_for_itself_only() -> None:
    wide = who(issued(ROOT, dns=["*.vendor.example"]))
    for name in ("hooks.vendor.example", "*.vendor.example"):
        assert not certificate.allows(read(MtlsAuth, {"type": "mtls", "dnsNames": [name]}), wide)


def test_issued_means_signed_by_the_authority_and_not_only_in_its_name() -> None:
    now, false = time.time(), authority("Test Root")
    assert certificate.is_issued_by(SENDER.certificate, (false.certificate, ROOT.certificate), now)
    assert not certificate.is_issued_by(SENDER.certificate, (false.certificate,), now)
    middle = authority("Issuing", ROOT)
    assert not certificate.is_issued_by(issued(middle).certificate, (ROOT.certificate,), now)
    assert certificate.is_issued_by(issued(middle).certificate, (middle.certificate,), now)


def test_an_authority_past_its_end_issues_nothing() -> None:
    old = authority("Old", ends=-DAY)
    assert not certificate.is_issued_by(issued(old).certificate, (old.certificate,), time.time())


def test_the_last_second_of_a_certificate_counts() -> None:
    ends = SENDER.certificate.not_valid_after_utc.timestamp()
    assert certificate.is_valid_at(SENDER.certificate, ends)
    assert not certificate.is_valid_at(SENDER.certificate, ends + 1)
    assert not certificate.is_valid_at(SENDER.certificate, ends - dt.timedelta(days=4).total_seconds())


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----", SENDER.pem])
def test_a_bundle_holds_authorities_only(pem: str) -> None:
    with pytest.raises(ValueError, match=r"PEM cannot be read|is no authority"):
        certificate.authorities(pem)


@pytest.mark.parametrize("text", ["", "hooks", "CN=", "CN=a,", "=a", "XX=a", "CN=a,CN", "C=DEU"])
def test_a_subject_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"CN=hooks\.example\.com"):
        certificate.attributes(text)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"dnsNames": ["*"]},
        {"dnsNames": ["*.example"]},
        {"dnsNames": ["a.*.example"]},
        {"dnsNames": ["a b"]},
        {"uris": ["hooks"]},
        {"emails": ["hooks"]},
        {"dnsNames": ["a.example"], "secrets": ["s"]},
        {"dnsNames": ["a.example"], "toleranceSeconds": 3},
        {"dnsNames": ["a.example"], "ca": "text"},
    ],
)
def test_a_rule_that_names_nobody_for_certain_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(Refused):
        read(MtlsAuth, {"type": "mtls", **rule})


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.binary(max_size=64), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_reading_and_judging_are_total(noise: bytes, at: int, other: bytes) -> None:
    certificate.of_der(noise)
    der = SENDER.der
    found = certificate.of_der(der[:at] + other + der[at + len(other) :])
    if found is not None:
        rule = read(MtlsAuth, {"type": "mtls", "dnsNames": ["hooks.vendor.example"], "ca": ROOT.pem})
        trust = Trust((ROOT.certificate,), {ROOT.certificate.subject: frozenset()}, time.time() + 60)
        for client in (Client(found, given=True), Client(found, given=True, trust=trust, current=False)):
            mtls.judge(rule, client, time.time())
