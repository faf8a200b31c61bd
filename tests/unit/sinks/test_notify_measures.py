"""The metrics of the notify process: what counts where, and that gauges are read when somebody looks."""

from schemas.definitions.notification import DeliveryState
from schemas.metrics import Metrics
from sinks.notify.measures import Measures, Standing


def test_an_attempt_counts_by_its_answer_and_by_what_became_of_its_delivery() -> None:
    metrics = Metrics()
    measures = Measures(metrics)
    for status, state in ((204, DeliveryState.DELIVERED), (503, DeliveryState.PENDING), (None, DeliveryState.CANCELED)):
        measures.attempted(status, 20)
        measures.resulted(state)
    told = metrics.registry.get_sample_value
    answers = {each: told("hookberg_notify_attempts_total", {"answer": each}) for each in ("2xx", "5xx", "none")}
    assert answers == {"2xx": 1, "5xx": 1, "none": 1}
    results = ("delivered", "retried", "canceled")
    assert [told("hookberg_notify_deliveries_total", {"result": each}) for each in results] == [1, 1, 1]
    assert told("hookberg_notify_attempt_seconds_count") == 3
    assert told("hookberg_notify_attempt_seconds_sum") == 0.06


def test_how_the_engine_stands_is_read_at_the_scrape() -> None:
    metrics, now = Metrics(), Standing()
    Measures(metrics).watch(lambda: now)
    told = metrics.registry.get_sample_value
    assert told("hookberg_notify_leads") == 0
    now = Standing(leads=True, pending=7, oldest_s=2.5, in_flight=3, open_circuits=1)
    names = ("leads", "pending", "oldest_seconds", "in_flight_requests", "open_circuits")
    assert [told(f"hookberg_notify_{name}") for name in names] == [1, 7, 2.5, 3, 1]


def test_feeds_are_counted_apart() -> None:
    metrics = Metrics()
    measures = Measures(metrics)
    measures.took_in("changes", 3)
    measures.lags("posted", 12)
    told = metrics.registry.get_sample_value
    assert told("hookberg_notify_events_total", {"feed": "changes"}) == 3
    assert told("hookberg_notify_feed_lag", {"feed": "posted"}) == 12
