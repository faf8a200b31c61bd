"""A webhook received by a task of its own: whatever has to be waited for is waited for here.

Lives here: the order of the steps of life.py. The doors (fast.py, mount.py) call `receive` and nothing else; what is
here at once takes the same steps in connection.py. A 2xx means acknowledged by all in-sync replicas (rule 1).
"""

import asyncio

from ingress import answers, body, handshakes, heads, jwt, resolve, routes
from ingress.arrival import Arrival, Reply
from ingress.authenticate import authenticate
from ingress.env import Env
from ingress.life import OFF_LOOP_BYTES, Life
from ingress.mtls import NOBODY, Client
from ingress.target import Target
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.signing import Invalid, SignedRequest
from schemas.wire.raw import AuthResult

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


async def receive(arrival: Arrival, env: Env) -> Reply:
    """Answer one request; total: a refusal, an overload and a bug of ours are replies too."""
    life = Life(arrival, env, env.clock.monotonic())
    try:
        reply = await _lived(life, arrival, env)
    except ConnectionError:
        raise
    except Exception as exc:  # noqa: BLE001 one request's bug is its own 500
        reply = life.failed(exc)
    finally:
        life.leave()
    reply = life.ended(reply)
    if life.strain is not None:
        life.received = None
        await env.overload.delays.wait(life.wait_s(reply))
    return reply


async def _lived(life: Life, arrival: Arrival, env: Env) -> Reply:
    heads.refuse_too_large(arrival.headers.size)
    if arrival.method != "POST":
        return await _without_body(life, arrival, env)
    target = await resolve.find(_route(arrival), arrival, env)
    ticket = life.admit(target)
    received = life.received = await body.read(arrival.body, life.limit, ticket, env.limits)
    hello = life.greeted(target, received, proven=False)
    if hello is not None:
        return hello
    proof = life.proven(target, await _proof(life, target, received))
    hello = life.greeted(target, received, proven=True)
    if hello is not None:
        return hello
    if life.weight(target, received) > OFF_LOOP_BYTES:
        outgoing = await asyncio.to_thread(life.outgoing, target, received, proof)
    else:
        outgoing = life.outgoing(target, received, proof)
    stored = await env.publisher.publish(
        outgoing.topic, outgoing.partition, outgoing.key, outgoing.body, outgoing.headers
    )
    return life.stored(target, outgoing, stored)


def _route(arrival: Arrival) -> routes.Route:
    route = routes.find(arrival.path)
    if route is None:
        raise Refused(Reason.NOT_FOUND, "no such path")
    return route


async def _without_body(life: Life, arrival: Arrival, env: Env) -> Reply:
    route = _route(arrival)
    if arrival.method not in _WITHOUT_BODY:
        return answers.not_allowed()
    try:
        target = life.target = await resolve.find(route, arrival, env)
    except Refused:
        return answers.not_allowed()
    return handshakes.answer(target, arrival, b"", proven=False) or answers.not_allowed()


async def _proof(life: Life, target: Target, received: bytes) -> AuthResult | Invalid:
    env, request, now_s = life.env, life.signed(received), life.now_s()
    client = env.clients.of(life.arrival) if target.source.definition.auth.type == "mtls" else NOBODY
    proof = await _judged(target, request, now_s, env, client)
    if isinstance(proof, Invalid) and proof.reason in jwt.RENEWABLE:
        if await jwt.renewed(target.source, env.keys):
            proof = await _judged(target, request, now_s, env, client)
        proof = jwt.final(proof, target.source, env.keys)
    return proof


async def _judged(
    target: Target, request: SignedRequest, now_s: float, env: Env, client: Client
) -> AuthResult | Invalid:
    if len(request.body) > OFF_LOOP_BYTES:
        return await asyncio.to_thread(authenticate, target, request, now_s, env.keys, client)
    return authenticate(target, request, now_s, env.keys, client)
