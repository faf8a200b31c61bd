"""One webhook's life: found, admitted, read, proven, stored, answered.

Lives here: the order. Each step is a file of its own beside this one; the doors (fast.py, mount.py) call `receive` and
nothing else. A 2xx means acknowledged by all in-sync replicas (rule 1 of the data path).
"""

import asyncio

from ingress import answers, body, handshakes, heads, jwt, record, resolve, routes
from ingress.arrival import Arrival, Reply
from ingress.authenticate import authenticate, remedy
from ingress.env import Env
from ingress.explain import CHEAP_BODY
from ingress.mtls import NOBODY, Client
from ingress.refusals import Refusal
from ingress.resolve import Target
from schemas.errors import Overloaded, Refused
from schemas.logs import logger
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest
from schemas.wire.raw import AuthResult

OFF_LOOP_BYTES = 1 << 20
"""Above this a body is hashed and looked into in a thread: half a millisecond of a loop that serves thousands."""
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
_UNAUTHORIZED = 401
_NS = 1_000_000_000
_log = logger("ingress")


async def receive(arrival: Arrival, env: Env) -> Reply:
    """Answer one request; total: a refusal, an overload and a bug of ours are replies too."""
    started = env.clock.monotonic()
    life = _Life()
    try:
        reply = await life.run(arrival, env)
    except Refused as exc:
        reply, life.why = answers.refused(exc, status=life.status_of(exc)), exc.detail
    except Overloaded as exc:
        reply = answers.overloaded(exc)
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001 one request's bug is its own 500; the log has the trace
        _log.exception("delivery_failed", source=life.source_id)
        reply = answers.failed()
    if reply.outcome == "refused" and life.target is not None:
        env.refusals.note(life.refusal(life.target, arrival, reply, env))
    url_id = None if life.target is None else life.target.url_id
    env.tally.answered(reply, life.source_id, life.secret_id, env.clock.monotonic() - started, url_id)
    return reply


class _Life:
    """What is known of a request so far, for the counters and for a refusal's status."""

    __slots__ = ("received", "secret_id", "source_id", "target", "why")

    def __init__(self) -> None:
        self.source_id = ""
        self.secret_id: str | None = None
        self.target: Target | None = None
        self.received: bytes | None = None
        self.why = ""

    async def run(self, arrival: Arrival, env: Env) -> Reply:
        heads.refuse_too_large(arrival.headers)
        route = routes.find(arrival.path)
        if route is None:
            raise Refused(Reason.NOT_FOUND, "no such path")
        if arrival.method != "POST":
            return await self._without_body(route, arrival, env)
        target = self._found(await resolve.find(route, arrival, env))
        env.rates.ask_source(target.source.id)
        limit = min(env.limits.body_bytes, target.vendor.body_limit)
        body.refuse_declared(arrival.content_length, limit)
        with env.admission.enter(arrival.content_length) as ticket:
            arrival.body.go_on()
            self.received = await body.read(arrival.body, limit, ticket, env.limits)
            return await self._take(target, arrival, self.received, env)

    async def _take(self, target: Target, arrival: Arrival, received: bytes, env: Env) -> Reply:
        hello = handshakes.answer(target, arrival, received, proven=False)
        if hello is not None:
            return hello
        proof = await _prove(target, arrival, received, env)
        self.secret_id = proof.secret_id
        _count(target, env)
        hello = handshakes.answer(target, arrival, received, proven=True)
        if hello is not None:
            return hello
        encoding = arrival.by_name.get("content-encoding", "") if target.object_only else ""
        if body.weight(received, encoding) > OFF_LOOP_BYTES:
            outgoing = await asyncio.to_thread(_checked, target, arrival, received, proof, env)
        else:
            outgoing = _checked(target, arrival, received, proof, env)
        stored = await env.publisher.publish(
            outgoing.topic, outgoing.partition, outgoing.key, received, outgoing.headers
        )
        if stored.offset < 0:
            raise Overloaded(Reason.BROKER_SLOW, env.admission.retry_after())
        return answers.accepted(target, outgoing, stored, env)

    async def _without_body(self, route: routes.Route, arrival: Arrival, env: Env) -> Reply:
        if arrival.method not in _WITHOUT_BODY:
            return answers.not_allowed()
        try:
            target = self._found(await resolve.find(route, arrival, env))
        except Refused:
            return answers.not_allowed()
        return handshakes.answer(target, arrival, b"", proven=False) or answers.not_allowed()

    def _found(self, target: Target) -> Target:
        self.target, self.source_id = target, target.source.id
        return target

    def refusal(self, target: Target, arrival: Arrival, reply: Reply, env: Env) -> Refusal:
        """Return what the ring of the source keeps of a refused request; a short body is explained too."""
        reason = reply.reason or Reason.UNAUTHENTICATED  # a handshake's own words: its token is not the source's
        request = None
        if reason.status == _UNAUTHORIZED and self.received is not None and len(self.received) <= CHEAP_BODY:
            request = _signed(arrival, self.received, env)
        return Refusal(
            source=target.source,
            reason=reason.value,
            status=reply.status,
            detail=self.why or (reason.text if reply.reason else reply.body.decode("utf-8", "replace")),
            method=arrival.method,
            path=target.path,
            query=arrival.query,
            headers=arrival.headers,
            body_bytes=arrival.content_length if self.received is None else len(self.received),
            request=request,
        )

    def status_of(self, exc: Refused) -> int | None:
        """Return the status by which the vendor takes a failed authentication for what it is."""
        if self.target is None or exc.reason.status != _UNAUTHORIZED:
            return None
        return self.target.vendor.refusal_status


def _count(target: Target, env: Env) -> None:
    """Take a proven delivery from the buckets of its source and, where an API key was the proof, of the key."""
    if target.key is not None and target.source.definition.auth.type == "none":
        env.rates.take_key(target.key.id)
    env.rates.take_source(target.source.id)


def _checked(target: Target, arrival: Arrival, received: bytes, proof: AuthResult, env: Env) -> record.Outgoing:
    """Return the record of a proven request: what looks into the body, so that of a large one a thread does it."""
    if target.object_only:
        body.refuse_unless_object(received, arrival.by_name.get("content-encoding", ""), env.limits.body_bytes)
    return record.make(target, arrival, received, proof, env)


def _signed(arrival: Arrival, received: bytes, env: Env) -> SignedRequest:
    return SignedRequest(arrival.method, env.base_url(arrival) + arrival.url, arrival.headers, received)


async def _prove(target: Target, arrival: Arrival, received: bytes, env: Env) -> AuthResult:
    request = _signed(arrival, received, env)
    now_s = env.clock.time_ns() / _NS
    client = env.clients.of(arrival) if target.source.definition.auth.type == "mtls" else NOBODY
    proof = await _judged(target, request, now_s, env, client)
    if isinstance(proof, Invalid) and proof.reason in jwt.RENEWABLE:
        if await jwt.renewed(target.source, env.keys):
            proof = await _judged(target, request, now_s, env, client)
        proof = jwt.final(proof, target.source, env.keys)
    if isinstance(proof, Invalid):
        raise Refused(proof.reason, remedy(target, proof.reason))
    return proof


async def _judged(
    target: Target, request: SignedRequest, now_s: float, env: Env, client: Client
) -> AuthResult | Invalid:
    if len(request.body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(authenticate, target, request, now_s, env.keys, client)
    return authenticate(target, request, now_s, env.keys, client)
