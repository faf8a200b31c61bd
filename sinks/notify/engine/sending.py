"""One lane at work: its claimed deliveries one after another, and what each result means for everything else.

Lives here: the way from a claim to a result. Not here: when a lane is worked on (engine.py), the meaning (verdict.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas import logs
from schemas.backing.egress import shown
from schemas.definitions.notification import Attempt, DeliveryKind, DeliveryState, FailureDetails, Lane, WebhookView
from schemas.definitions.sending import Claim, Result, Told
from schemas.definitions.webhook import WebhookStatus
from schemas.reasons import Reason
from sinks.notify.engine.attempting import attempt
from sinks.notify.engine.directory import Directory
from sinks.notify.engine.lanes import Lanes
from sinks.notify.engine.ports import World
from sinks.notify.engine.schedule import Schedule
from sinks.notify.engine.statuses import Statuses
from sinks.notify.engine.verdict import Verdict, judge
from sinks.notify.outgoing import Outcome

_MOST_WORDS = 500
log = logs.logger(__name__)


class Outbox:
    """Results and statuses that are not written yet, in their order."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.told: list[Told] = []

    def tell(self, told: Told | None) -> None:
        """Keep a status; one that says the same of the same webhook as the one before takes its place."""
        if told is None:
            return
        last = max((at for at, one in enumerate(self.told) if one.webhook_id == told.webhook_id), default=None)
        if last is not None and self.told[last].status is told.status:
            before = self.told.pop(last)
            told = replace(told, fallback=told.fallback or before.fallback)
        self.told.append(told)

    def take(self) -> tuple[list[Result], list[Told]]:
        """Return everything, to be written."""
        results, told = self.results, self.told
        self.results, self.told = [], []
        return results, told

    def put_back(self, results: Sequence[Result], told: Sequence[Told]) -> None:
        """Take back what could not be written."""
        self.results[:0] = results
        self.told[:0] = told

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.results or self.told)


class Sender:
    """Sends by lanes; `directory()` returns the webhooks as they are known now."""

    def __init__(
        self, world: World, lanes: Lanes, statuses: Statuses, outbox: Outbox, directory: Callable[[], Directory]
    ) -> None:
        self._world = world
        self._lanes, self._statuses, self._outbox, self._directory = lanes, statuses, outbox, directory
        self._schedule = Schedule.of(world.given)
        self.in_flight = 0

    def receiver_gone(self, lane: Lane) -> bool:
        """Tell whether a lane's webhook is to be sent, but its receiver is no more."""
        return self._directory().receiver_gone(lane)

    async def send(self, lane: Lane, claims: Sequence[Claim], goes_on: Callable[[], bool]) -> bool:
        """Send claims one after another; tell whether some were left, for they may not be sent now."""
        for number, claim in enumerate(claims):
            endpoint = self._directory().endpoint(lane)
            webhook = self._directory().webhooks.get(lane.webhook_id)
            held_back = number > 0 and self._lanes.of(lane).circuit.open
            if endpoint is None or webhook is None or held_back or not goes_on() or not self._world.leads():
                return True
            await self._send(lane, claim, webhook, endpoint)
        return False

    async def _send(self, lane: Lane, claim: Claim, webhook: WebhookView, endpoint: str) -> None:
        if not claim.events:
            reason = Reason.EVENTS_EXPIRED
            self._outbox.results.append(Result(claim.delivery, None, DeliveryState.CANCELED, reason))
            self._world.measures.resulted(DeliveryState.CANCELED)
            return
        began_ms = self._world.now_ms()
        self.in_flight += 1
        try:
            base_url = self._world.given.public_api_url
            made, outcome = await attempt(self._world.egress, webhook, claim, endpoint, began_ms, base_url)
        except Exception:  # one message that cannot be made must not end the others' delivery
            log.exception("notify_attempt_failed", webhook=webhook.full_name, delivery=claim.delivery.id)
            outcome = Outcome(None, Reason.INTERNAL, Reason.INTERNAL.text, (), b"", 0)
            made = Attempt(
                claim.delivery.id, claim.delivery.attempts + 1, began_ms, 0, shown(endpoint), None, None, {}, {}
            )
        finally:
            self.in_flight -= 1
        verdict = judge(outcome, claim.delivery, self._schedule, self._world.chance())
        self._settle(lane, claim, endpoint, made, outcome, verdict)

    def _settle(
        self, lane: Lane, claim: Claim, endpoint: str, made: Attempt, outcome: Outcome, verdict: Verdict
    ) -> None:
        now_ms = self._world.now_ms()
        again_ms = None if verdict.again_s is None else now_ms + int(verdict.again_s * 1000)
        kept = replace(made, reason=verdict.reason)
        self._outbox.results.append(Result(claim.delivery, kept, verdict.state, verdict.reason, again_ms))
        self._world.measures.attempted(outcome.status, outcome.duration_ms)
        self._world.measures.resulted(verdict.state)
        standing = self._lanes.of(lane)
        if verdict.ok:
            standing.circuit.succeeded()
            standing.failed_at = ""
            self._outbox.tell(self._statuses.delivered(lane))
            return
        standing.circuit.failed(now_ms)
        standing.failed_at = endpoint
        if again_ms is not None:
            self._lanes.moved({lane: again_ms})
        self.gave_way(lane, verdict.status, _details(now_ms, outcome, verdict, again_ms), claim.delivery.kind)

    def gave_way(
        self, lane: Lane, status: WebhookStatus, failure: FailureDetails, kind: DeliveryKind = DeliveryKind.EVENT
    ) -> None:
        """Tell of a failure; a fallback's own failure has no fallback again."""
        directory = self._directory()
        if status is WebhookStatus.DISABLED:
            directory.silenced.add(lane.webhook_id)
        fallback = None if kind is DeliveryKind.FALLBACK else directory.fallback(lane.webhook_id)
        self._outbox.tell(self._statuses.failed(lane, status, failure, fallback))


def _details(now_ms: int, outcome: Outcome, verdict: Verdict, again_ms: int | None) -> FailureDetails:
    reason = verdict.reason or Reason.INTERNAL
    words = reason.text if outcome.status is None else f"{reason.text} (it answered {outcome.status})"
    words = f"{reason}: {outcome.detail or words}"
    return FailureDetails(now_ms, outcome.status, words[:_MOST_WORDS], again_ms)
