"""Logs: structlog JSON lines (or text for a terminal), one shape for our own and for libraries' records.

Lives here: the set-up. What is hidden: redact.py. How long a line may be: lines.py. What is said again and again:
repeats.py. A line has `time level event process`, and `deliveryId tenant source stream reason` where there is one.
https://www.structlog.org/en/stable/standard-library.html#rendering-using-structlog-based-formatters-within-logging
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

import structlog

from schemas.logs.lines import Lines
from schemas.logs.redact import redact
from schemas.logs.repeats import PER_MINUTE, Repeats

__all__ = ["configure", "logger", "redact", "take_over"]
_NOISY = ("aiokafka", "faust", "mode", "pyiceberg", "alembic", "sqlalchemy")
_CAREFUL = ("urllib3", "requests", "httpx", "asyncio", "opentelemetry")
"""Their debug lines name what we call, with query and headers."""


def configure(
    process: str,
    *,
    level: str = "info",
    fmt: str = "json",
    per_minute: int = PER_MINUTE,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Send all logs of this process to stderr, redacted, each line bounded; `fmt` is json or console.

    The same said more than `per_minute` times in a minute is counted instead; 0: no limit.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Handler(sys.stderr, Repeats(per_minute, monotonic))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, Lines(process, fmt)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _CAREFUL:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))


class Handler(logging.StreamHandler[TextIO]):
    """Writes lines to a stream, and the counts of those that it left out."""

    def __init__(self, stream: TextIO, repeats: Repeats) -> None:
        super().__init__(stream)
        self._repeats = repeats

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record unless it was said too often lately."""
        for count in self._repeats.over():
            super().emit(count)
        if self._repeats.takes(record):
            super().emit(record)

    def close(self) -> None:
        """Write what was counted and not said yet."""
        try:
            for count in self._repeats.over(everything=True):
                super().emit(count)
        finally:
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 logging's name
        """Say that a record could not be written; logging's own answer prints its arguments, which may be secret."""
        kind = sys.exc_info()[0]
        told = structlog.processors.JSONRenderer()(
            None, "error", {"level": "error", "event": "log_not_written", "logger": record.name, "error": str(kind)}
        )
        try:
            self.stream.write(f"{told!s}\n")
        except (OSError, ValueError):  # nobody reads us any more
            return


def take_over() -> None:
    """Make lines of what Python itself would print: uncaught errors of any thread, and warnings."""
    log = logger("python")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.error("uncaught_error", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = "" if args.thread is None else args.thread.name
            told = (args.exc_type, args.exc_value, args.exc_traceback)
            log.error("uncaught_error", thread=name, exc_info=told)

    def unraisable(args: Any) -> None:  # noqa: ANN401 sys.UnraisableHookArgs exists in stubs only
        if args.exc_value is not None:
            log.error("unraisable_error", exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable
    logging.captureWarnings(True)


def logger(name: str) -> Any:  # noqa: ANN401 structlog's lazy proxy
    """Return a logger; call it with an event name and fields: `log.info("stream_started", stream=...)`."""
    return structlog.stdlib.get_logger(name)
