"""The one error of the local start: a stable reason and a text that says what to do next.

Lives here: `LocalError`. May not live here: reason codes (schemas/reasons.py has the closed list).
It is a ConfigurationError, so whoever runs the start ends with exit code 78 (see schemas/errors.py).
"""

from schemas.errors import ConfigurationError
from schemas.reasons import Reason


class LocalError(ConfigurationError):
    """Refuse to start: `reason` is the stable code, the message says what is wrong and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason.value}: {message}")
        self.reason = reason
        self.message = message
