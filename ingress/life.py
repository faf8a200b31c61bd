"""One webhook's life: admitted, read, proven, made a record, answered.

Lives here: the steps, what is known of a request so far, and that whatever is raised becomes a reply. No step waits for
anything: who waits between them is receive.py (a task a request) and connection.py (for what is here at once).
"""

from functools import partial

import msgspec

from ingress import answers, body, handshakes, record, traces
from ingress.admission import Ticket
from ingress.arrival import Arrival, Reply
from ingress.authenticate import authenticate, remedy
from ingress.env import Env
from ingress.explain import CHEAP_BODY
from ingress.mtls import NOBODY
from ingress.overload import policies
from ingress.overload.policies import Strain
from ingress.refusals import Refusal
from ingress.target import Target
from schemas.errors import Overloaded, Refused
from schemas.logs import logger
from schemas.ports import Stored
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest
from schemas.wire.raw import AuthResult

OFF_LOOP_BYTES = 1 << 20
"""Above this a body is hashed and looked into in a thread: half a millisecond of a loop that serves thousands."""
_UNAUTHORIZED = 401
_NS = 1_000_000_000
_log = logger("ingress")


class Life(msgspec.Struct):
    """One request that began at `started` (monotonic); `leave` gives back what it holds, whatever became of it."""

    arrival: Arrival
    env: Env
    started: float
    target: Target | None = None
    received: bytes | None = None
    limit: int = 0
    strain: Strain | None = None
    _ticket: Ticket | None = None
    _proof: AuthResult | None = None
    _why: str = ""
    _span: traces.Span | None = None

    def __repr__(self) -> str:
        """Show which source; the rest may be secret."""
        return f"Life(source={self.source_id!r})"

    def admit(self, target: Target) -> Ticket:
        """Take a request of `target` in; raise `Refused(body_too_large)` or `Overloaded`.

        Of a source that is calm the overload policies cost the look at `strained`.
        """
        self.target = target
        arrival, env = self.arrival, self.env
        source_id = target.source.id
        if env.overload.strained:
            self._meet(source_id)
        env.rates.ask_source(source_id)
        self.limit = min(env.limits.body_bytes, target.vendor.body_limit)
        body.refuse_declared(arrival.content_length, self.limit)
        self._ticket = env.admission.enter(arrival.content_length, source_id)
        arrival.body.go_on()
        return self._ticket

    def greeted(self, target: Target, received: bytes, *, proven: bool) -> Reply | None:
        """Return the answer of a vendor's handshake."""
        if not target.vendor.handshakes:
            return None
        return handshakes.answer(target, self.arrival, received, proven=proven)

    def signed(self, received: bytes) -> SignedRequest:
        """Return the request as a signature is checked over it."""
        arrival = self.arrival
        return SignedRequest(
            arrival.method,
            self.env.base_url(arrival) + arrival.url,
            arrival.headers.pairs,
            received,
            arrival.headers.by_name,
        )

    def _judged(self, received: bytes) -> SignedRequest:
        """Return the same for schemes alone, which ask for headers by name."""
        arrival = self.arrival
        url = self.env.base_url(arrival) + arrival.url
        return SignedRequest(arrival.method, url, (), received, arrival.headers.by_name)

    def now_s(self) -> float:
        """Return the time by which freshness is judged: seconds since the epoch."""
        return self.env.clock.time_ns() / _NS

    def proven(self, target: Target, proof: AuthResult | Invalid) -> AuthResult:
        """Note how the sender proved itself and count the delivery; raise `Refused`, or `Overloaded` past a rate."""
        if isinstance(proof, Invalid):
            raise Refused(proof.reason, remedy(target, proof.reason))
        self._proof = proof
        rates = self.env.rates
        if target.key is not None and target.source.definition.auth.type == "none":
            rates.take_key(target.key.id)
        rates.take_source(target.source.id)
        return proof

    def weight(self, target: Target, received: bytes) -> int:
        """Return how many bytes have to be gone through to make its record."""
        return body.weight(received, self._encoding()) if target.object_only else len(received)

    def outgoing(self, target: Target, received: bytes, proof: AuthResult) -> record.Outgoing:
        """Return the record: what looks into the body, so that of a large one a thread does it."""
        if target.object_only:
            body.refuse_unless_object(received, self._encoding(), self.env.limits.body_bytes)
        trace = self.arrival.headers.by_name.get("traceparent")
        if self.env.tracer.enabled:
            self._span = traces.begin(self.env, trace, self.started)
        carried = traces.carried(self.env.tracer, self._span, trace)
        made = record.make(target, self.arrival, received, proof, self.env, carried)
        if self._span is not None:
            traces.note(self._span, made)
        return made if self.strain is None or not self.strain.sheds else self._sampled(target, made, self.strain)

    def at_once(self, target: Target, received: bytes) -> record.Outgoing | Reply:
        """Judge a small request whose proof needs nothing but itself: its record, or the answer of a handshake."""
        hello = self.greeted(target, received, proven=False)
        if hello is not None:
            return hello
        proof = self.proven(target, authenticate(target, self._judged(received), self.now_s(), self.env.keys, NOBODY))
        return self.greeted(target, received, proven=True) or self.outgoing(target, received, proof)

    def stored(self, target: Target, outgoing: record.Outgoing, stored: Stored) -> Reply:
        """Answer a record that all in-sync replicas have; raise `Overloaded` for one without a place in the log."""
        if stored.offset < 0:
            raise Overloaded(Reason.BROKER_SLOW, self.env.admission.retry_after())
        return answers.accepted(target, outgoing, stored, self.env)

    def wait_s(self, reply: Reply) -> float:
        """Return how much longer a reply is to be held back, `strain` being there; 0 for what is no plain 2xx."""
        if self.strain is None or reply.outcome != "accepted":
            return 0.0
        return self.started + self.strain.delay_s - self.env.clock.monotonic()

    def failed(self, exc: Exception) -> Reply:
        """Answer what was raised: a refusal, an overload, or a bug of ours, of which the log has the trace."""
        if isinstance(exc, Refused):
            self._why = exc.detail
            return answers.refused(exc, status=self._status_of(exc))
        if isinstance(exc, Overloaded):
            status = None if self.target is None else policies.status(exc.reason, self.target.vendor)
            return answers.overloaded(exc, status=status)
        _log.error("delivery_failed", source=self.source_id, exc_info=exc)
        return answers.failed()

    def ended(self, reply: Reply) -> Reply:
        """Count a reply and note a refusal; the reply itself."""
        env, target = self.env, self.target
        seconds = env.clock.monotonic() - self.started
        if env.tracer.enabled and target is not None:
            traces.end(env, target, self.arrival, reply, self._span, self.started)
        if target is None:
            env.tally.answered(reply, "", (), seconds)
            return reply
        if reply.outcome == "refused":
            env.refusals.note(self._refusal(target, reply))
        secret_id = None if self._proof is None else self._proof.secret_id
        size = 0 if self.received is None else len(self.received)
        env.tally.answered(reply, target.source.id, (secret_id, target.url_id), seconds, size)
        return reply

    def leave(self) -> None:
        """Give back what was reserved."""
        if self._ticket is not None:
            self._ticket.leave()
            self._ticket = None

    @property
    def source_id(self) -> str:
        """Return the source's id, "" when none was found."""
        return "" if self.target is None else self.target.source.id

    def _meet(self, source_id: str) -> None:
        """Note what the source's requests meet now; raise `Overloaded` where none is taken."""
        overload = self.env.overload
        self.strain = overload.strained.get(source_id)
        if self.strain is not None and self.strain.refused is not None:
            raise overload.refusal(self.strain, self.strain.refused)

    def _sampled(self, target: Target, made: record.Outgoing, meets: Strain) -> record.Outgoing:
        """Return the record of a delivery that is kept, the marker of one that is shed; raise past the loss budget."""
        overload, source = self.env.overload, target.source
        key = made.sample_key(source.partitioning)
        fate = policies.fate(meets, key, partial(overload.may_lose, source.id))
        if fate == "refused":
            raise overload.refusal(meets, Reason.LOSS_BUDGET_SPENT)
        return made if fate == "kept" else made.marker()

    def _encoding(self) -> str:
        return self.arrival.headers.by_name.get("content-encoding", "")

    def _status_of(self, exc: Refused) -> int | None:
        """Return the status by which the vendor takes a failed authentication for what it is."""
        if self.target is None or exc.reason.status != _UNAUTHORIZED:
            return None
        return self.target.vendor.refusal_status

    def _refusal(self, target: Target, reply: Reply) -> Refusal:
        """Return what the ring of the source keeps of a refused request; a short body is explained too."""
        arrival, received = self.arrival, self.received
        reason = reply.reason or Reason.UNAUTHENTICATED  # a handshake's own words: its token is not the source's
        request = None
        if reason.status == _UNAUTHORIZED and received is not None and len(received) <= CHEAP_BODY:
            request = self.signed(received)
        return Refusal(
            source=target.source,
            reason=reason.value,
            status=reply.status,
            detail=self._why or (reason.text if reply.reason else reply.body.decode("utf-8", "replace")),
            method=arrival.method,
            path=target.path,
            query=arrival.query,
            headers=arrival.headers.pairs,
            body_bytes=arrival.content_length if received is None else len(received),
            request=request,
        )
