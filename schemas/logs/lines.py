"""One record -> one line: redacted, its members in order, bounded.

Lives here: the shape and the bounds. Not here: what is hidden (redact.py).
"""

from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

from schemas.logs.redact import cut, line, redact

MAX_LINE = 16_000
"""Bytes of a line: below what `hookberg up` cuts its children's lines at."""
MAX_TEXT = 4_000
MAX_TRACE = 10_000
_LEAST = 1_000
_FIRST = ("time", "level", "event", "process")
_NAMES = {"delivery_id": "deliveryId", "delivery": "deliveryId"}
_TRACE = "exception"


class Lines:
    """The last processor of all: `fmt` json, one object a line, or console, for people."""

    def __init__(self, process: str, fmt: str) -> None:
        self._process = process
        self._console: Any = structlog.dev.ConsoleRenderer(colors=False) if fmt != "json" else None

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str:  # noqa: ANN401 structlog's
        """Return the line."""
        event.setdefault("process", self._process)
        told = redact(logger, method, {_NAMES.get(name, name): value for name, value in event.items()})
        ordered = {name: told.pop(name) for name in _FIRST if name in told}
        ordered = {name: _bounded(name, value) for name, value in (ordered | told).items()}
        if self._console is not None:
            ordered["timestamp"] = ordered.pop("time", "")
            return line(cut(str(self._console(logger, method, ordered)), MAX_LINE))
        made = _json(ordered)
        if len(made) > MAX_LINE:
            made = _json(_smaller(ordered))
        return line(made.decode())


def _bounded(name: str, value: Any) -> Any:  # noqa: ANN401 whatever is logged
    return cut(value, MAX_TRACE if name == _TRACE else MAX_TEXT) if isinstance(value, str) else value


def _json(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except (TypeError, ValueError):  # integers beyond 64 bits, texts that are no Unicode
        return orjson.dumps({name: _safe(value) for name, value in event.items()})


def _safe(value: Any) -> str:  # noqa: ANN401 whatever is logged
    return str(value).encode("utf-8", "replace").decode()


def _smaller(event: dict[str, Any]) -> dict[str, Any]:
    """Return a record that fits: long members cut down, then left out, the last ones first."""
    small = {name: cut(value if isinstance(value, str) else _safe(value), _LEAST) for name, value in event.items()}
    while len(_json(small)) > MAX_LINE - 100:
        small.popitem()
    return small | {"cut": True}
