"""Times that were refused are named by what is wrong with the sender's clock."""

from dataclasses import replace

import pytest
from msgspec import structs

from ingress.diagnosis import Cause
from schemas.signing import SignedRequest, sign
from tests.unit.ingress.diagnosis.requests import NOW, bare, changed, found, header, scheme, secret, signed

TIMED = ("stripe", "slack", "standardwebhooks", "svix", "hubspot", "paddle")
HOUR = 3600


def at(platform: str, text: str) -> SignedRequest:
    """Return a request that is signed over this text of a time."""
    right, request = scheme(platform), bare(platform)
    fresh = right.freshness
    assert fresh is not None
    if fresh.source == "header":
        stamped = structs.replace(request, headers=(*request.headers, (fresh.name, text)))
        added = sign(replace(right, freshness=None), stamped, [secret(platform)], NOW)
        return structs.replace(stamped, headers=(*stamped.headers, *added))
    message = right.message.replace(f"{{p.{fresh.name}}}", text)
    box = right.container
    plain = replace(right, message=message, freshness=None)
    ((name, value),) = sign(plain, request, [secret(platform)], NOW)
    return structs.replace(request, headers=(*request.headers, (name, f"{box.timestamp}={text}{box.separator}{value}")))


def told(platform: str, text: str) -> tuple[Cause, bool, str]:
    findings = found(platform, at(platform, text))
    assert len(findings) == 1, findings  # the signature itself is right
    return findings[0].cause, findings[0].certain, findings[0].detail


def text_of(platform: str, seconds: float) -> str:
    fresh = scheme(platform).freshness
    assert fresh is not None
    return str(int(seconds * 1000 if fresh.unit == "ms" else seconds))


@pytest.mark.parametrize("platform", TIMED)
@pytest.mark.parametrize("hours", [1, 2, -1, 5.5, -8, 9])
def test_a_clock_that_is_off_by_hours_is_named_as_a_time_zone(platform: str, hours: float) -> None:
    cause, certain, detail = told(platform, text_of(platform, NOW + hours * HOUR))
    assert (cause, certain) == (Cause.CLOCK_TIME_ZONE, hours > 0)
    unit = "hour" if abs(hours) == 1 else "hours"
    assert f"{abs(hours):g} {unit} {'ahead' if hours > 0 else 'behind'}" in detail
    assert "sign UTC" in detail


@pytest.mark.parametrize("platform", TIMED)
def test_milliseconds_and_seconds_that_were_mixed_up_are_named(platform: str) -> None:
    fresh = scheme(platform).freshness
    assert fresh is not None
    wrong, right = ("seconds", "milliseconds") if fresh.unit == "ms" else ("milliseconds", "seconds")
    cause, certain, detail = told(platform, str(NOW if fresh.unit == "ms" else NOW * 1000))
    assert (cause, certain) == (Cause.CLOCK_UNIT, True)
    assert f"is in {wrong}, this source takes whole {right}" in detail


@pytest.mark.parametrize("platform", TIMED)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{NOW}.25", "with a fraction"),
        ("2025-06-15T15:06:40Z", "is a date"),
        ("2025-06-15 15:06:40", "is a date"),
        ("soon", "cannot be read"),
    ],
)
def test_a_time_in_another_format_is_named(platform: str, text: str, words: str) -> None:
    cause, certain, detail = told(platform, text)
    assert (cause, certain) == (Cause.CLOCK_FORMAT, True)
    assert words in detail
    assert "since 1970" in detail


@pytest.mark.parametrize("platform", TIMED)
def test_a_clock_that_is_simply_wrong_is_named_with_its_distance(platform: str) -> None:
    cause, certain, detail = told(platform, text_of(platform, NOW - 900))
    assert (cause, certain) == (Cause.CLOCK_OFF, True)
    assert "900 s behind" in detail
    assert "a retry must be signed anew" in detail
    cause, _, detail = told(platform, text_of(platform, NOW + 900))
    assert cause is Cause.CLOCK_OFF
    assert "900 s ahead" in detail
    assert "days behind" in told(platform, text_of(platform, NOW - 90 * 86_400))[2]


@pytest.mark.parametrize("platform", ["slack", "standardwebhooks", "hubspot"])
def test_a_time_that_is_missing_is_named(platform: str) -> None:
    request, fresh = signed(platform), scheme(platform).freshness
    assert fresh is not None
    request = structs.replace(request, headers=tuple(pair for pair in request.headers if pair[0] != fresh.name))
    finding = found(platform, request)[0]
    assert (finding.cause, finding.certain) == (Cause.HEADER_MISSING, True)
    assert fresh.name in finding.detail


def test_a_time_in_the_body_is_judged_too() -> None:
    finding = found("linear", signed("linear", b'{"webhookTimestamp":%d}' % ((NOW + HOUR) * 1000)))[0]
    assert (finding.cause, finding.certain) == (Cause.CLOCK_TIME_ZONE, True)


@pytest.mark.parametrize("platform", TIMED)
def test_a_stale_request_with_another_mistake_has_both(platform: str) -> None:
    request = at(platform, text_of(platform, NOW - 900))
    request = structs.replace(request, body=bytes(request.body) + b"\n")
    assert [one.cause for one in found(platform, request)] == [Cause.CLOCK_OFF, Cause.BODY_LINE_ENDS]


def test_a_stripe_header_without_a_time_says_how_it_must_read() -> None:
    request = signed("stripe")
    only = header(request, "Stripe-Signature").partition(",")[2]
    finding = found("stripe", changed(request, "Stripe-Signature", only))[0]
    assert (finding.cause, finding.certain) == (Cause.HEADER_MISSING, True)
    assert "(t)" in finding.detail
