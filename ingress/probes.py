"""/livez, /readyz and /metrics of one worker.

Ready means: the broker answers, the registry was read, our clock is within 30 s of the broker's (spec section 4).
"""

from collections.abc import Callable

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingress.arrival import JSON, Reply
from ingress.env import Env
from ingress.publish import DoorPublisher
from schemas.metrics import Metrics

MAX_SKEW_S = 30.0
_OK = 200
_UNREADY = 503


def problems(env: Env, publisher: DoorPublisher, *, draining: bool = False) -> dict[str, str]:
    """Return what keeps this worker from being ready, by name; empty = ready."""
    found: dict[str, str] = {}
    if draining:
        found["process"] = "shutting down"
    if (broker := publisher.problem()) is not None:
        found["broker"] = broker
    if env.view.current().revision < 0:
        found["registry"] = "not read yet"
    skew = publisher.clock_skew_s()
    if skew is not None and abs(skew) > MAX_SKEW_S:
        found["clock"] = f"{skew:.0f} s off the broker's; signatures' timestamps would be judged wrongly"
    return found


def export(env: Env, metrics: Metrics) -> None:
    """Bring the worker's metrics up to date; called at each scrape, so that a request costs no label look-up."""
    env.tally.export()
    metrics.gauge("hookberg_in_flight_requests").set(env.admission.requests)
    metrics.gauge("hookberg_in_flight_bytes").set(env.admission.held)
    metrics.gauge("hookberg_delayed_answers").set(len(env.overload.delays))
    for level, count in env.overload.levels().items():
        metrics.gauge("hookberg_strained_sources").labels(level).set(count)


def probes(
    env: Env, publisher: DoorPublisher, metrics: Metrics, is_draining: Callable[[], bool]
) -> dict[str, Callable[[], Reply]]:
    """Return the probes' replies by path."""

    def ready() -> Reply:
        found = problems(env, publisher, draining=is_draining())
        text = orjson.dumps({"status": "unready" if found else "ready", "problems": found})
        return Reply(_UNREADY if found else _OK, text, JSON, "probe")

    def live() -> Reply:
        return Reply(_OK, b'{"status":"live"}', JSON, "probe")

    def scrape() -> Reply:
        export(env, metrics)
        return Reply(_OK, generate_latest(metrics.registry), CONTENT_TYPE_LATEST, "probe")

    return {"/livez": live, "/readyz": ready, "/metrics": scrape}
