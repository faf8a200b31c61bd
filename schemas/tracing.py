"""Traces: the port by which rooms tell what they did to a webhook, from its request over a batch to a table's commit.

Lives here: the port, the off tracer, what is known of contexts as text. Not here: OpenTelemetry (backing/spans.py),
loaded only where traces are on. Off: whoever has something to tell reads one attribute, `enabled`.
https://www.w3.org/TR/trace-context/#traceparent-header
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a process without traces does not load it
    from opentelemetry.trace import Span

MAX_LINKS = 32
"""Of one span: requests of a batch, batches of a commit. What is more is counted in the span and not kept."""
MAX_SEEN = 8 * MAX_LINKS
_WHOLE = 55
_FLAGS = -2
_SAMPLED = "13579bdf"
Value = str | int | float | bool


class Tracer(Protocol):
    """What rooms ask; of one that is not `enabled` nothing else is asked."""

    enabled: bool

    def moment(self) -> float:
        """Return now, as `began` is meant: monotonic seconds."""

    def request(self, name: str, traceparent: str | None, began: float) -> "Span | None":
        """Begin the span of a request, in its sender's trace if it has one; None: it is not traced."""

    def linked(self, name: str, of: Sequence[str], began: float) -> "Span":
        """Begin the span of work on many contexts: child of the first of them, linked to each (`MAX_LINKS`)."""

    def header(self, span: "Span") -> str:
        """Return a span's traceparent."""

    def end(self, span: "Span", attributes: Mapping[str, Value], fault: str = "") -> None:
        """End a span now; `fault` "": it went well."""

    def stop(self) -> None:
        """Send what was not sent yet; may block for some seconds."""


class NotTraced(RuntimeError):
    """The off tracer was asked for a span: a bug."""


class Off:
    """Implements Tracer where nobody wants traces."""

    enabled = False

    def moment(self) -> float:
        """Refuse."""
        raise NotTraced

    def request(self, name: str, traceparent: str | None, began: float) -> "Span | None":
        """Refuse."""
        raise NotTraced(name, traceparent, began)

    def linked(self, name: str, of: Sequence[str], began: float) -> "Span":
        """Refuse."""
        raise NotTraced(name, of, began)

    def header(self, span: "Span") -> str:
        """Refuse."""
        raise NotTraced(span)

    def end(self, span: "Span", attributes: Mapping[str, Value], fault: str = "") -> None:
        """Refuse."""
        raise NotTraced(span, attributes, fault)

    def stop(self) -> None:
        """Do nothing: there is nothing to send."""


OFF: Tracer = Off()


def is_sampled(traceparent: str) -> bool:
    """Tell whether a traceparent, of valid form, belongs to a trace that somebody keeps."""
    return traceparent[_WHOLE + _FLAGS + 1 : _WHOLE] in _SAMPLED if len(traceparent) >= _WHOLE else False


def unkept(traceparent: str) -> str:
    """Return a traceparent, of valid form, as one whose trace nobody keeps."""
    return f"{traceparent[: _WHOLE + _FLAGS]}00"


class Seen:
    """Contexts of kept traces that came by since they were last taken: distinct, in order, at most `MAX_SEEN`."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def add(self, traceparent: str | None) -> None:
        """Note one, if it is of a trace that is kept."""
        if traceparent is not None and is_sampled(traceparent) and len(self._found) < MAX_SEEN:
            self._found[traceparent] = None

    def take(self) -> list[str]:
        """Return what was noted and begin anew."""
        found, self._found = self._found, {}
        return list(found)
