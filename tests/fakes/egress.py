"""Outgoing calls that never leave the process: answers by URL, counted."""

from collections import Counter

from schemas.errors import Transient


class NoEgress:
    """Implements schemas.ports.Egress: nothing can be called."""

    async def get(self, url: str, *, limit_bytes: int) -> bytes:  # noqa: ARG002 the port's signature
        raise Transient("no calls are made here")


class ScriptedEgress:
    """Implements schemas.ports.Egress: `answers` by URL; a URL without one fails. `calls` counts."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()

    async def get(self, url: str, *, limit_bytes: int) -> bytes:
        self.calls[url] += 1
        if url not in self.answers:
            raise Transient("the name cannot be resolved")
        assert len(self.answers[url]) <= limit_bytes
        return self.answers[url]
