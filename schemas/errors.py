"""Every error that is not a bug, in one tree.

    HookbergError
    ├── Refused(reason)       the caller's fault       -> 4xx, with the reason's status
    ├── Overloaded(retry)     ours, temporary          -> 429 or 503 with Retry-After, or a pause
    ├── Poison(reason)        this record's fault      -> quarantine, the others go on
    ├── Transient             a dependency's fault     -> bounded retry
    └── ConfigurationError    the operator's fault     -> the process ends with exit code 78 and says what to set

Anything else is a bug: it ends the process and the supervisor starts it again (the words are those of
https://github.com/getsentry/arroyo). Reasons live in reasons.py.
"""

from schemas.reasons import Reason

EXIT_CONFIGURATION = 78
"""sysexits.h EX_CONFIG: a supervisor must not restart a process that ends with it."""
EXIT_RESTART = 75
"""sysexits.h EX_TEMPFAIL: nothing was written locally, start me again."""


class HookbergError(Exception):
    """The root of the tree above."""


class Refused(HookbergError):
    """The caller asked for something that cannot be; `reason.status` is the HTTP answer.

    `detail` is for the person who reads it: what is wrong and what to do. `errors` are (JSON pointer, message) pairs.
    """

    def __init__(self, reason: Reason, detail: str = "", *, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail or reason.text)
        self.reason = reason
        self.detail = detail or reason.text
        self.errors = errors


class Overloaded(HookbergError):
    """We cannot take this now; try again after `retry_after_s` seconds."""

    def __init__(self, reason: Reason, retry_after_s: int) -> None:
        super().__init__(reason.text)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Poison(HookbergError):
    """This record or item cannot be processed; it goes to quarantine with `reason`, JSON `pointer` and message."""

    def __init__(self, reason: Reason, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.pointer = pointer


class Transient(HookbergError):
    """A dependency failed in a way that may pass; retry with a bound."""


class ConfigurationError(HookbergError):
    """A setting or the machine is wrong; the text says which and what to do. Exit code 78."""
