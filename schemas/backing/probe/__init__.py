"""Probes of the backing services: each asks one thing, says what it found and how to mend it (`hookberg doctor`).

Lives here: what a finding is, and running probes side by side within a time. One file a service beside this. A probe
changes nothing but an object of its own, which it removes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import KafkaError, KafkaException

from schemas.logs.redact import text as without_secrets

MESSAGE = 400


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found; `mend` says what to do, "" when all is well."""

    check: str
    status: Status
    detail: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: `ask` may block and may raise; `mend`: what to do when it does."""

    name: str
    ask: Callable[[], Sequence[Finding]]
    mend: str


def ok(check: str, detail: str) -> Finding:
    """Return what is well."""
    return Finding(check, Status.OK, detail)


def warn(check: str, detail: str, mend: str) -> Finding:
    """Return what works and will not for ever, or not under load."""
    return Finding(check, Status.WARN, detail, mend)


def fail(check: str, detail: str, mend: str) -> Finding:
    """Return what does not work."""
    return Finding(check, Status.FAIL, detail, mend)


def examine(
    probes: Sequence[Probe], limit_s: float, *, monotonic: Callable[[], float] = time.monotonic
) -> list[Finding]:
    """Run all probes at once and return what they found, in their order, after `limit_s` at the latest.

    A probe that has not answered by then is left behind in its thread and is a failure, and so is one that raises.
    """
    found: list[list[Finding] | None] = [None] * len(probes)

    def run(number: int, probe: Probe) -> None:
        try:
            found[number] = list(probe.ask())
        except Exception as error:  # noqa: BLE001 whatever a service does to its client
            found[number] = [fail(probe.name, _told(error), probe.mend)]

    threads = [
        threading.Thread(target=run, args=(number, probe), name=f"probe-{probe.name}", daemon=True)
        for number, probe in enumerate(probes)
    ]
    deadline = monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))
    made: list[Finding] = []
    for probe, answer in zip(probes, found, strict=True):
        made += answer if answer is not None else [fail(probe.name, f"no answer in {limit_s:g} s", probe.mend)]
    return made


def _told(error: Exception) -> str:
    said = str(error)
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        said = error.args[0].str()
    return without_secrets(f"{type(error).__name__}: {' '.join(said.split())}")[:MESSAGE]
