"""The span of a request: begun with its record, ended with its answer.

Lives here: its name, its attributes, what the raw record carries of it. Nothing of a request that may be secret is in a
span: no path, no query, no header. Names: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

import re
from typing import Any

from ingress.arrival import Arrival, Reply
from ingress.env import Env
from ingress.record import Outgoing
from ingress.target import Target
from schemas.tracing import Tracer, unkept

Span = Any
"""OpenTelemetry's, which a process without traces does not load."""
NAME = "hookberg.request"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_FAULTS = 500


def begin(env: Env, trace: str | None, started: float) -> Span | None:
    """Begin the span of a request that began at `started` (monotonic); None: it is not traced."""
    return env.tracer.request(NAME, trace, started)


def carried(tracer: Tracer, span: Span | None, trace: str | None) -> str | None:
    """Return the context that a record carries: its span's, else the sender's, as one that we do not keep if we could.

    What is no valid context is left out.
    """
    if span is not None:
        return tracer.header(span)
    if trace is None or not _FORM.fullmatch(trace):
        return None
    return unkept(trace) if tracer.enabled else trace


def note(span: Span, made: Outgoing) -> None:
    """Say which delivery a span's request is."""
    span.set_attributes({"hookberg.delivery.id": made.delivery_id, "messaging.destination.partition": made.partition})


def end(env: Env, target: Target, arrival: Arrival, reply: Reply, span: Span | None, started: float) -> None:
    """End the span of a request with its answer; one that was refused before it had a record has none yet."""
    if span is None:
        if reply.outcome in {"accepted", "shed"}:  # it was decided that it is not traced
            return
        span = begin(env, arrival.headers.by_name.get("traceparent"), started)
        if span is None:
            return
    source = target.source
    attributes: dict[str, str | int] = {
        "http.request.method": arrival.method,
        "http.response.status_code": reply.status,
        "hookberg.outcome": reply.outcome,
        "hookberg.source": source.name,
        "hookberg.tenant": source.tenant,
        "messaging.destination.name": source.topic,
    }
    if arrival.content_length is not None:
        attributes["http.request.body.size"] = arrival.content_length
    if reply.reason is not None:
        attributes["hookberg.reason"] = reply.reason.value
    env.tracer.end(span, attributes, reply.outcome if reply.status >= _FAULTS else "")
