"""Logs: structlog JSON lines (or for people), one shape for our own and for libraries' records.

Lives here: the set-up and the redaction. Standard fields: process, tenant, source, stream, delivery, reason.
"""

import logging
import re
import sys
from typing import Any

import structlog

_SECRET_NAME = re.compile("secret|password|authorization|cookie|token|api_?key|signature", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"\b(hbk_|whsec_|whsk_)[A-Za-z0-9_\-+/=]{4,}|/in/[A-Za-z0-9_\-]{16,}")
_NOISY = ("aiokafka", "faust", "mode", "pyiceberg", "alembic", "sqlalchemy")


def configure(process: str, *, level: str = "info", fmt: str = "json") -> None:
    """Send all logs of this process to stderr, redacted; `fmt` is json or console."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if fmt == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def redact(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 structlog's processor
    """Replace what may be a secret: members named like one, and texts that look like one (structlog processor)."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = "***"
        elif isinstance(value, str) and _SECRET_TEXT.search(value):
            event[name] = _SECRET_TEXT.sub("***", value)
    return event


def logger(name: str) -> Any:  # noqa: ANN401 structlog's lazy proxy
    """Return a logger; call it with an event name and fields: `log.info("stream_started", stream=...)`."""
    return structlog.stdlib.get_logger(name)
