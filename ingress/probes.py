"""/livez, /readyz and /metrics of one worker, and what its metrics are read from.

Liveness depends on nothing else: a worker whose broker is away must not be restarted. Ready means: the broker answers,
the registry was read, our clock is within 30 s of the broker's (spec section 4), and nobody has told it to end.
"""

from collections.abc import Callable, Sequence

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingress.arrival import JSON, Reply
from ingress.env import Env
from ingress.publish import DoorPublisher
from schemas import readiness
from schemas.metrics import Metrics

MAX_SKEW_S = 30.0
_OK = 200
Probe = Callable[[Sequence[str]], Reply]
"""Answers a probe, given the values of its Authorization header."""


def checks(env: Env, publisher: DoorPublisher, *, draining: bool = False) -> dict[str, str]:
    """Return what keeps this worker from being ready, by check; "" = well."""
    skew = publisher.clock_skew_s()
    off = skew is not None and abs(skew) > MAX_SKEW_S
    return {
        "process": "shutting down" if draining else "",
        "broker": publisher.problem() or "",
        "registry": "not read yet" if env.view.current().revision < 0 else "",
        "clock": f"{skew:.0f} s off the broker's; signatures' timestamps would be judged wrongly" if off else "",
    }


def watch(env: Env, publisher: DoorPublisher, metrics: Metrics, is_draining: Callable[[], bool]) -> None:
    """Let the door's metrics be read at each scrape, so that a request costs no label look-up; once a process."""
    admission, tally = env.admission, env.tally
    metrics.read("hookberg_deliveries_total", tally.outcomes)
    metrics.read("hookberg_source_deliveries_total", lambda: tally.by_source(env.view.current().sources))
    metrics.read("hookberg_secret_used_timestamp_seconds", lambda: tally.secrets(env.view.current().sources))
    metrics.read("hookberg_auth_failures_total", tally.auth_failures)
    metrics.read("hookberg_received_bytes_total", lambda: {(): tally.bytes})
    metrics.read("hookberg_in_flight_requests", lambda: {(): admission.requests})
    metrics.read("hookberg_in_flight_bytes", lambda: {(): admission.held})
    limits: dict[tuple[str, ...], float] = {
        ("requests",): float(admission.max_requests),
        ("bytes",): float(admission.max_bytes),
    }
    metrics.read("hookberg_in_flight_limit", lambda: limits)
    metrics.read("hookberg_delayed_answers", lambda: {(): len(env.overload.delays)})
    metrics.read("hookberg_strained_sources", lambda: {(level,): n for level, n in env.overload.levels().items()})
    metrics.read("hookberg_check_failed", readiness.failed(lambda: checks(env, publisher, draining=is_draining())))


def probes(env: Env, publisher: DoorPublisher, metrics: Metrics, is_draining: Callable[[], bool]) -> dict[str, Probe]:
    """Return the probes' replies by path; each check of /readyz is for holders of an API key."""
    watch(env, publisher, metrics, is_draining)

    def ready(authorization: Sequence[str]) -> Reply:
        detailed = readiness.holds_key(authorization, env.view.current().keys)
        status, body = readiness.answer(checks(env, publisher, draining=is_draining()), detailed=detailed)
        return Reply(status, orjson.dumps(body), JSON, "probe")

    def live(_authorization: Sequence[str]) -> Reply:
        return Reply(_OK, b'{"status":"live"}', JSON, "probe")

    def scrape(_authorization: Sequence[str]) -> Reply:
        return Reply(_OK, generate_latest(metrics.registry), CONTENT_TYPE_LATEST, "probe")

    return {"/livez": live, "/readyz": ready, "/metrics": scrape}
