"""Spans by OpenTelemetry's SDK, sent as OTLP over HTTP by a thread of its own, best effort.

Lives here: the tracer of a process whose settings name a collector. Not here: what is traced (the rooms). Whether a
request is traced is decided before there is a span: a request that is not costs a tenth of one that is. What the queue
has no room for, or the collector does not take, is gone; nothing waits for it.
https://opentelemetry.io/docs/specs/otel/trace/sdk/ https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.settings.tracing import TraceSettings
from schemas.tracing import MAX_LINKS, Value

QUEUE, BATCH, EVERY_MS, CALL_S = 4096, 512, 2000, 5.0
MAX_VALUE = 500
_NS = 1_000_000_000
_ALL = 1 << 64
_HEADER = "traceparent"
_FORMAT = TraceContextTextMapPropagator()


class Spans:
    """Implements Tracer; `ratio`: share of requests without a context of their own that begin a trace.

    `per_s`: requests traced in a second, at most, whatever senders ask for. `now_ns`, `monotonic` (seconds) and
    `random_bytes(n)` are the world.
    """

    enabled = True

    def __init__(
        self,
        provider: TracerProvider,
        *,
        ratio: float = 1.0,
        per_s: float = 100.0,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._provider, self._tracer = provider, provider.get_tracer("hookberg")
        self._ratio, self._per_s = ratio, per_s
        self._now_ns, self._monotonic, self._random = now_ns, monotonic, random_bytes
        self._allowed, self._told = per_s, monotonic()

    def moment(self) -> float:
        """Return now in monotonic seconds."""
        return self._monotonic()

    def request(self, name: str, traceparent: str | None, began: float) -> Span | None:
        """Begin the span of a request (see the port)."""
        if traceparent is None and not self._chosen():  # most requests: nothing is read
            return None
        context, caller = _read(traceparent)
        wanted = caller.trace_flags.sampled if caller.is_valid else traceparent is None or self._chosen()
        if not wanted or not self._may():
            return None
        return self._tracer.start_span(name, context, SpanKind.SERVER, start_time=self._at(began))

    def linked(self, name: str, of: Sequence[str], began: float) -> Span:
        """Begin the span of work on many contexts (see the port)."""
        read = [_read(one) for one in of]
        return self._tracer.start_span(
            name,
            read[0][0] if read else Context(),
            SpanKind.CONSUMER,
            links=[Link(context) for _, context in read if context.is_valid],
            start_time=self._at(began),
        )

    def header(self, span: Span) -> str:
        """Return a span's traceparent."""
        carrier: dict[str, str] = {}
        _FORMAT.inject(carrier, trace.set_span_in_context(span, Context()))
        return carrier[_HEADER]

    def end(self, span: Span, attributes: Mapping[str, Value], fault: str = "") -> None:
        """End a span now."""
        span.set_attributes(attributes)
        if fault:
            span.set_status(Status(StatusCode.ERROR, fault[:MAX_VALUE]))
        span.end(self._now_ns())

    def stop(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()

    def _at(self, began: float) -> int:
        return self._now_ns() - int((self._monotonic() - began) * _NS)

    def _chosen(self) -> bool:
        return self._ratio >= 1 or int.from_bytes(self._random(8), "big") < self._ratio * _ALL

    def _may(self) -> bool:
        """Take one of the requests that may be traced now."""
        now = self._monotonic()
        self._allowed = min(max(self._per_s, 1.0), self._allowed + (now - self._told) * self._per_s)
        self._told = now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True


def _read(traceparent: str | None) -> tuple[Context, SpanContext]:
    context = _FORMAT.extract({} if traceparent is None else {_HEADER: traceparent}, Context())
    return context, trace.get_current_span(context).get_span_context()


def provider(process: str, exporter: SpanExporter, *, at_once: bool = False) -> TracerProvider:
    """Return a provider that bounds spans and sends them by `exporter`; `at_once`: each as it ends, in its thread."""
    made = TracerProvider(
        ALWAYS_ON,  # who is traced is decided above
        Resource.create({"service.name": f"hookberg-{process}", "service.namespace": "hookberg"}),
        shutdown_on_exit=False,
        span_limits=SpanLimits(max_links=MAX_LINKS, max_attribute_length=MAX_VALUE),
    )
    made.add_span_processor(
        SimpleSpanProcessor(exporter)
        if at_once
        else BatchSpanProcessor(exporter, QUEUE, EVERY_MS, BATCH, CALL_S * 1000)
    )
    return made


def open_spans(process: str, given: TraceSettings, now_ns: Callable[[], int]) -> Spans:
    """Return the tracer of a process whose settings name a collector."""
    secret = "" if given.otlp_headers is None else given.otlp_headers.get_secret_value()
    pairs = [pair.partition("=") for pair in secret.split(",") if "=" in pair]
    exporter = OTLPSpanExporter(
        f"{given.otlp_url}/v1/traces", headers={name.strip(): value.strip() for name, _, value in pairs}, timeout=CALL_S
    )
    limits = given.trace_ratio, given.traced_requests_per_s
    return Spans(provider(process, exporter), ratio=limits[0], per_s=limits[1], now_ns=now_ns)
