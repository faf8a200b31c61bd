"""A change without If-Match that meets another writer is made again on what that one wrote.

Lives here: when a change is made again, and how often. Not here: comparing versions (call.py, the registry).
"""

from collections.abc import Awaitable, Callable

from ingress.api.call import Answer, Call
from schemas.errors import Refused
from schemas.reasons import Reason

ATTEMPTS = 3


async def again(call: Call, change: Callable[[Call], Awaitable[Answer]]) -> Answer:
    """Return the answer of `change`, which reads, decides and writes; raise what it refuses but a lost race.

    A caller that named a version (If-Match) is told at once, others after three lost races.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await change(call)
        except Refused as exc:
            if exc.reason is not Reason.PRECONDITION_FAILED or call.if_match is not None:
                raise
    return await change(call)
