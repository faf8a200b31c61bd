"""What follows from a backlog: the curve, refusals, Retry-After, the sample, and which vendor is throttled."""

import pytest

from ingress.overload import policies
from ingress.overload.policies import MARGIN_S, MARGIN_SHARE, MAX_RETRY_S, UNKNOWN_RETRY_S, Strain
from schemas.definitions.overload import Bound, Overload, Policy, Threshold
from schemas.overload import Backlog, Level
from schemas.reasons import Reason
from schemas.vendors import VENDORS
from schemas.vendors.base import HOUR_S

GITHUB, STRIPE, GITLAB, SLACK = (VENDORS[name] for name in ("github", "stripe", "gitlab", "slack"))
WARN, ALARM = Threshold(events=100, age_seconds=10), Threshold(events=1_100, age_seconds=110)
BOUND = Bound(events=10_000, age_seconds=1_000, bytes=10**9)


def given(policy: Policy | None = None) -> Overload:
    return Overload(policy=policy, warn=WARN, alarm=ALARM, bound=BOUND)


def strain(level: Level, events: int, policy: Policy | None = None, *, drained: float | None = 100.0) -> Strain | None:
    return policies.strain(level, Backlog(events, 0.0), drained, given(policy), GITHUB)


@pytest.mark.parametrize(
    ("backlog", "share"),
    [
        (Backlog(99, 0), 0.0),
        (Backlog(100, 0), 0.0),
        (Backlog(350, 0), 0.25),
        (Backlog(600, 0), 0.5),
        (Backlog(600, 85), 0.75),  # the age is further than the records
        (Backlog(0, 60), 0.5),
        (Backlog(5_000, 0), 1.0),
    ],
)
def test_answers_wait_longer_the_nearer_the_alarm_is(backlog: Backlog, share: float) -> None:
    longest = policies.longest_s(10.0)
    assert policies.delay_s(Level.WARN, backlog, given(), 10.0) == pytest.approx(share * longest)
    assert policies.delay_s(Level.CALM, backlog, given(), 10.0) == 0
    assert policies.delay_s(Level.ALARM, backlog, given(), 10.0) == longest


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda one: one.name)
def test_no_answer_waits_into_the_margin_before_a_vendors_deadline(vendor: object) -> None:
    deadline = vendor.deadline_s  # type: ignore[attr-defined]
    assert policies.longest_s(deadline) <= deadline - max(MARGIN_S, MARGIN_SHARE * deadline) + 1e-9


def test_thresholds_that_are_equal_have_no_curve_between_them() -> None:
    flat = Overload(warn=WARN, alarm=WARN, bound=BOUND)
    assert policies.delay_s(Level.WARN, Backlog(99, 0), flat, 10.0) == 0
    assert policies.delay_s(Level.WARN, Backlog(100, 0), flat, 10.0) == policies.longest_s(10.0)


@pytest.mark.parametrize("policy", ["queue", "reject", "shed"])
def test_past_the_bound_nothing_is_taken_whatever_the_policy(policy: Policy) -> None:
    meets = strain(Level.BOUND, 20_000, policy)
    assert meets is not None
    assert (meets.refused, meets.refused and meets.refused.status) == (Reason.BACKLOG_BOUND, 503)


@pytest.mark.parametrize("policy", ["reject", "shed"])
@pytest.mark.parametrize("level", [Level.CALM, Level.WARN])
def test_below_the_alarm_reject_and_shed_do_nothing(policy: Policy, level: Level) -> None:
    assert strain(level, 1_000, policy) is None


def test_past_the_alarm_reject_refuses_shed_sheds_and_queue_waits() -> None:
    rejects, sheds, waits = (strain(Level.ALARM, 2_000, each) for each in ("reject", "shed", "queue"))
    assert rejects is not None
    assert rejects.refused is Reason.BACKLOG_ALARM
    assert sheds is not None
    assert sheds.sheds
    assert sheds.refused is None
    assert sheds.keep_ratio == 0.1
    assert waits is not None
    assert waits.delay_s == policies.longest_s(GITHUB.deadline_s)
    assert waits.refused is None


def test_without_a_policy_it_is_the_vendors() -> None:
    assert policies.policy(given(), GITHUB) == "queue"
    assert policies.policy(given(), STRIPE) == "reject"
    assert policies.policy(given("shed"), STRIPE) == "shed"


@pytest.mark.parametrize(
    ("drained", "events", "seconds"),
    [
        (100.0, 2_000, 20.0),
        (None, 2_000, UNKNOWN_RETRY_S),
        (0.0, 2_000, MAX_RETRY_S / 1.5),
        (1.0, 10**9, MAX_RETRY_S / 1.5),
        (1e9, 10, policies.MIN_RETRY_S),
    ],
)
def test_retry_after_is_the_backlog_over_the_drain_rate_bounded(
    drained: float | None, events: int, seconds: float
) -> None:
    meets = strain(Level.ALARM, events, "reject", drained=drained)
    assert meets is not None
    assert meets.retry_s == seconds
    soonest, latest = policies.retry_after_s(meets, 0.0), policies.retry_after_s(meets, 1.0)
    assert seconds <= soonest <= latest <= MAX_RETRY_S
    assert latest - soonest >= int(seconds / 2) - 1


@pytest.mark.parametrize(
    ("vendor", "status"), [(STRIPE, 429), (GITLAB, 503), (SLACK, 503), (VENDORS["pagerduty"], 429)]
)
def test_who_drops_or_counts_a_4xx_gets_503(vendor: object, status: int) -> None:
    assert policies.status(Reason.BACKLOG_ALARM, vendor) == status  # type: ignore[arg-type]
    assert policies.status(Reason.BACKLOG_BOUND, vendor) == 503  # type: ignore[arg-type]
    assert policies.status(Reason.BROKER_SLOW, vendor) == 503  # type: ignore[arg-type]


def test_only_vendors_that_go_on_trying_for_an_hour_are_throttled() -> None:
    throttled = {vendor.name for vendor in VENDORS.values() if vendor.overload == "reject"}
    assert all(VENDORS[name].retry_span_s >= HOUR_S for name in throttled)
    never_or_once = {"github", "gitlab", "teams-outgoing", "twilio", "intercom", "generic"}
    losing_the_hook = {"shopify", "slack"}
    assert not throttled & (never_or_once | losing_the_hook)
    assert {"stripe", "svix", "standardwebhooks", "pagerduty", "sendgrid", "jira", "cloudevents"} <= throttled
