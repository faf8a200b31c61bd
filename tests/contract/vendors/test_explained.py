"""Every case of the kit, refused or taken, gets words when it is refused and none when it is taken.

Where a case is one of the mistakes that the diagnosis names, it must be named, whatever the vendor.
"""

import pytest

from ingress.diagnosis import Budget, Case, Cause, Finding, Secret, diagnose
from schemas.signing import SignedRequest, Valid, verify_any
from schemas.vendors import VENDORS
from tests.contract.vendors import cases
from tests.contract.vendors.roster import SENDERS
from tests.contract.vendors.senders import Sender

NAMED = {
    "stale": Cause.CLOCK_OFF,
    "future": Cause.CLOCK_OFF,
    "time-odd": Cause.CLOCK_FORMAT,
    "time-float": Cause.CLOCK_FORMAT,
    "time-missing": Cause.HEADER_MISSING,
    "newline-added": Cause.BODY_LINE_ENDS,
    "no-secret": Cause.SECRET_UNUSABLE,
    "signature-missing": Cause.HEADER_MISSING,
    "signature-of-5000-characters": Cause.SIGNATURE_FORM,
    "header-twice-forged-first": Cause.HEADER_DUPLICATED,
    "second-item-forged": Cause.ITEM_ALTERED,
    "algorithm-concat": Cause.ALGORITHM,
    "url-of-another-scheme": Cause.URL_MISMATCH,
    "url-of-another-host": Cause.URL_MISMATCH,
    "url-of-another-path": Cause.URL_MISMATCH,
    "url-with-more-in-the-query": Cause.URL_MISMATCH,
    "signed-with-another-port": Cause.URL_MISMATCH,
}


def explained(case: cases.Case) -> tuple[Finding, ...]:
    request = SignedRequest(case.sent.method, case.sent.url, case.sent.headers, case.sent.body)
    schemes = VENDORS[case.sender.vendor].schemes
    keys = [text.encode() for text in case.secrets]
    own = tuple(Secret(text) for text in keys)
    asked = Case(case.sender.vendor, schemes, request, own, case.now, "https://hooks.example.com")
    findings = diagnose(asked, Budget())
    taken = isinstance(verify_any(schemes, request, keys, case.now)[1], Valid)
    assert bool(findings) is not taken, case.name
    return findings


@pytest.mark.parametrize("sender", SENDERS, ids=lambda sender: sender.name)
def test_a_refused_request_is_explained_and_its_mistake_named(sender: Sender) -> None:
    wrong = []
    for case in cases.of(sender):
        findings = explained(case)
        for one in findings:
            assert not any(len(text) > 8 and text in one.detail for text in case.secrets), case.name
        wanted = NAMED.get(case.name)
        if wanted and findings and wanted not in {one.cause for one in findings}:
            wrong.append((case.name, wanted.value, [one.cause.value for one in findings]))
    assert wrong == []


@pytest.mark.parametrize("name", sorted(NAMED))
def test_each_named_mistake_is_in_the_kit(name: str) -> None:
    assert any(explained(case) for sender in SENDERS for case in cases.of(sender) if case.name == name)
