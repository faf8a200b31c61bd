"""How the process ends when a transaction cannot be trusted any more: at once, with nothing written locally (rule 10).

Lives here: the exit codes and the last words. Not here: who starts it again (supervise.py).
"""

import logging
import os
from collections.abc import Callable
from typing import NoReturn

from confluent_kafka import KafkaException

from schemas.errors import EXIT_RESTART
from schemas.logs import logger

_log = logger(__name__)
Die = Callable[[str, BaseException | None], NoReturn]
"""Ends the process and does not return; tests pass one that raises."""


def die(why: str, cause: BaseException | None = None) -> NoReturn:
    """Log why and end the process with exit code 75, without running any clean-up that could write."""
    told = None if cause is None else repr(cause)
    bug = None if isinstance(cause, KafkaException) else cause
    _log.error("stage_ends", why=why, cause=told, exit_code=EXIT_RESTART, exc_info=bug)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_RESTART)
