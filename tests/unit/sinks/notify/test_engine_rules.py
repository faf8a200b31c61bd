"""The pure rules of the engine: when again, what a result means, who is held back, what a webhook becomes."""

import pytest

from schemas.definitions.base import read
from schemas.definitions.notification import Delivery, DeliveryKind, DeliveryState, FailureDetails, Lane, WebhookView
from schemas.definitions.sending import Told
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.reasons import Reason
from sinks.notify.engine.attempting import retry_after_s
from sinks.notify.engine.circuit import Circuit
from sinks.notify.engine.schedule import Schedule
from sinks.notify.engine.statuses import Statuses
from sinks.notify.engine.verdict import judge
from sinks.notify.outgoing import Outcome

SCHEDULE = Schedule((60, 300, 900, 3600, 14400, 43200), 0.1)
OWN, CONTACT = Lane("w1"), Lane("w1", "c1")
FAILURE = FailureDetails(1, 500, "x")
A, F, W, L, D = (
    WebhookStatus.ACTIVE, WebhookStatus.FAILED, WebhookStatus.AWAITING_RETRY, WebhookStatus.RETRY_LIMIT_REACHED,
    WebhookStatus.DISABLED,
)  # fmt: skip


def outcome(status: int | None, reason: Reason | None = None, asked_s: float | None = None) -> Outcome:
    return Outcome(status, reason, "", (), b"", 5, asked_s)


def delivery(tries: int = 0, kind: DeliveryKind = DeliveryKind.EVENT, lane: Lane = OWN) -> Delivery:
    return Delivery("d", "acme", lane, kind, DeliveryState.PENDING, (1,), tries, tries, 0, 0, 0)


def view(status: WebhookStatus = A) -> WebhookView:
    filters = [{"eventType": "entityCreated"}]
    config = {"endpoint": "https://example.com/in"}
    definition = read(WebhookDefinition, {"name": "w", "eventFilters": filters, "webhookConfig": config})
    return WebhookView("w1", "acme", "w", definition, status, 0, 1, 1)


def test_retries_come_after_the_waits_lengthened_by_at_most_the_jitter_and_end_after_the_last() -> None:
    assert [SCHEDULE.wait_s(tries, 0.0) for tries in range(1, 8)] == [60, 300, 900, 3600, 14400, 43200, None]
    assert SCHEDULE.wait_s(1, 1.0) == pytest.approx(66)
    assert all(60 <= (SCHEDULE.wait_s(1, chance / 10) or 0) <= 66 for chance in range(11))
    assert SCHEDULE.patience_s == pytest.approx(62460 * 1.1 + 86400)


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 60.0), (0.0, 60.0), (59.0, 60.0), (600.0, 600.0), (86_400.0, 86_400.0), (1e9, 86_400.0)]
)
def test_retry_after_is_kept_never_shortened_and_bounded_by_a_day(asked: float | None, waits: float) -> None:
    assert judge(outcome(503, asked_s=asked), delivery(), SCHEDULE, 0.0).again_s == waits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Tue, 14 Nov 2023 22:15:20 GMT", 120.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("9" * 400, 999_999_999_999.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Tue, 99 Nov 2023 22:15:20 GMT", None),
        ("\u0661", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s((("retry-after", text),), 1_700_000_000.0) == seconds


@pytest.mark.parametrize(
    ("status", "reason", "becomes", "why"),
    [
        (200, None, A, None),
        (204, None, A, None),
        (299, None, A, None),
        (100, None, F, Reason.ANSWER_UNEXPECTED),
        (301, None, F, Reason.ENDPOINT_REDIRECTS),
        (304, None, F, Reason.ENDPOINT_REDIRECTS),
        (400, None, W, Reason.ENDPOINT_REFUSED),
        (404, None, W, Reason.ENDPOINT_REFUSED),
        (410, None, D, Reason.ENDPOINT_GONE),
        (429, None, W, Reason.ENDPOINT_REFUSED),
        (500, None, W, Reason.ENDPOINT_ERROR),
        (503, None, W, Reason.ENDPOINT_ERROR),
        (600, None, F, Reason.ANSWER_UNEXPECTED),
        (None, Reason.ENDPOINT_TIMEOUT, W, Reason.ENDPOINT_TIMEOUT),
        (None, Reason.CONNECTION_FAILED, F, Reason.CONNECTION_FAILED),
        (None, Reason.NAME_UNRESOLVED, F, Reason.NAME_UNRESOLVED),
        (None, Reason.TLS_FAILED, F, Reason.TLS_FAILED),
        (None, Reason.ENDPOINT_FORBIDDEN, F, Reason.ENDPOINT_FORBIDDEN),
        (None, Reason.ANSWER_MALFORMED, F, Reason.ANSWER_MALFORMED),
        (None, None, F, Reason.CONNECTION_FAILED),
    ],
)
def test_each_result_means_what_the_table_says(
    status: int | None, reason: Reason | None, becomes: WebhookStatus, why: Reason | None
) -> None:
    found = judge(outcome(status, reason), delivery(), SCHEDULE, 0.0)
    state = DeliveryState.DELIVERED if why is None else DeliveryState.PENDING
    assert (found.state, found.status, found.reason) == (state, becomes, why)
    assert found.again_s == (None if why is None else 60.0)


def test_the_last_failed_retry_ends_the_delivery_and_a_success_by_then_does_not() -> None:
    last = judge(outcome(503), delivery(tries=6), SCHEDULE, 0.0)
    assert (last.state, last.status, last.again_s) == (DeliveryState.RETRY_LIMIT_REACHED, L, None)
    assert judge(outcome(200), delivery(tries=6), SCHEDULE, 0.0).state is DeliveryState.DELIVERED


def test_gone_keeps_the_delivery_for_when_the_webhook_is_enabled_again_and_is_a_refusal_of_a_contact() -> None:
    gone = judge(outcome(410), delivery(tries=6), SCHEDULE, 0.0)
    assert (gone.state, gone.status, gone.again_s) == (DeliveryState.PENDING, D, 43200)
    contact = judge(outcome(410), delivery(lane=CONTACT), SCHEDULE, 0.0)
    assert (contact.state, contact.status, contact.again_s) == (DeliveryState.PENDING, W, 60)


def test_a_test_is_tried_once() -> None:
    found = judge(outcome(503), delivery(kind=DeliveryKind.TEST), SCHEDULE, 0.0)
    assert (found.state, found.status) == (DeliveryState.RETRY_LIMIT_REACHED, W)


def test_a_circuit_opens_after_failures_in_a_row_and_probes_ever_more_seldom() -> None:
    circuit = Circuit(3, 10_000)
    for now in (0, 1):
        circuit.failed(now)
    assert not circuit.open
    probes: list[int] = []
    for _ in range(8):
        circuit.failed(100)
        assert circuit.open
        probes.append(circuit.probe_at_ms - 100)
    assert probes == [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]
    circuit.nudge()
    assert (circuit.open, circuit.probe_at_ms) == (True, 0)
    circuit.succeeded()
    assert (circuit.open, circuit.failures) == (False, 0)


def test_a_webhook_is_told_only_what_changes_it() -> None:
    statuses = Statuses()
    statuses.load([view()])
    assert statuses.delivered(OWN) is None
    assert statuses.failed(OWN, W, FAILURE, None) == Told("w1", W, FAILURE)
    assert statuses.failed(OWN, F, FAILURE, None) == Told("w1", F, FAILURE)
    assert statuses.delivered(OWN) == Told("w1", A)
    assert statuses.delivered(OWN) is None
    assert statuses.delivered(Lane("unknown")) is None


def test_a_webhook_is_active_again_when_the_last_of_its_failing_lanes_delivers() -> None:
    statuses = Statuses()
    statuses.load([view()])
    statuses.failed(OWN, W, FAILURE, None)
    statuses.failed(CONTACT, W, FAILURE, None)
    assert statuses.delivered(OWN) is None
    assert statuses.delivered(CONTACT) == Told("w1", A)


def test_the_limit_stays_until_a_success_and_the_fallback_hears_of_it_once() -> None:
    statuses, fallback = Statuses(), Lane("w2")
    statuses.load([view()])
    assert statuses.failed(OWN, W, FAILURE, fallback) == Told("w1", W, FAILURE)
    assert statuses.failed(OWN, L, FAILURE, fallback) == Told("w1", L, FAILURE, fallback)
    assert statuses.failed(OWN, W, FAILURE, fallback) == Told("w1", L, FAILURE)
    assert statuses.failed(OWN, L, FAILURE, fallback) == Told("w1", L, FAILURE)
    assert statuses.delivered(OWN) == Told("w1", A)
    assert statuses.failed(OWN, D, FAILURE, fallback) == Told("w1", D, FAILURE, fallback)
    assert statuses.delivered(OWN) is None


def test_what_is_not_written_yet_outlives_a_look_at_the_registry() -> None:
    statuses = Statuses()
    statuses.load([view()])
    told = statuses.failed(OWN, W, FAILURE, None)
    assert told is not None
    statuses.load([view()], [told])
    assert statuses.delivered(OWN) == Told("w1", A)
