"""`/webhooks/{uuid}/test` and `/statistics`: does this endpoint work, and how has it gone.

A test is a delivery of its own event, made and sent by the notify process as every other one is.
"""

import asyncio

from ingress.api.call import Answer, Call
from ingress.api.resources.webhook_log_shapes import StatisticsAnswer, TestAnswer, attempt, figures
from ingress.api.routes import Query, Route
from schemas.backing.registry.outbound import log, requests, statistics
from schemas.definitions.key import Permission
from schemas.definitions.notification import Attempt
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_WAIT_S = 10
LOOK_S = 0.2
"""How often a caller that waits has the log read."""
_WAIT = Query("wait", "integer", "seconds to wait for the attempt; it is in the answer when it was made by then",
              maximum=MAX_WAIT_S)  # fmt: skip


async def test_webhook(call: Call) -> Answer:
    """Send a test event to a webhook; 200 with its attempt if the caller waits and it is made in time."""
    webhook, rim = call.named("uuid"), call.env.registry.outbound.rim
    delivery = await call.threads.run(requests.test, rim, call.tenant, webhook, actor=call.actor)
    made = await _attempt(call, webhook, delivery, int(call.query.get("wait", 0)))
    if made is None:
        return Answer({"deliveryId": delivery, "attempt": None})
    return Answer({"deliveryId": delivery, "attempt": attempt(made)}, status=200)


async def get_webhook_statistics(call: Call) -> Answer:
    """Show how a webhook's deliveries go."""
    webhook, rim = call.named("uuid"), call.env.registry.outbound.rim
    return Answer(figures(webhook, await call.threads.run(statistics.of_webhook, rim, call.tenant, webhook)))


async def _attempt(call: Call, webhook: str, delivery: str, wait_s: int) -> Attempt | None:
    """Wait for the first attempt; None when there is none by then, or when enough callers wait already."""
    if wait_s == 0 or call.threads.patient.locked():
        return None
    clock, rim = call.env.clock, call.env.registry.outbound.rim
    until = clock.monotonic() + wait_s
    async with call.threads.patient:
        while clock.monotonic() < until:
            await asyncio.sleep(LOOK_S)
            try:
                told = await call.threads.run(log.one, rim, call.tenant, webhook, delivery)
            except Refused as refused:
                if refused.reason is not Reason.NOT_FOUND:
                    raise
                continue
            if told.attempts:
                return told.attempts[0]
    return None


ROUTES = (
    Route("POST", "/webhooks/{uuid}/test", test_webhook, "Send a test event", Permission.WEBHOOKS_WRITE, TestAnswer,
          status=202, also={200: TestAnswer}, query=(_WAIT,), refusals=(Reason.WEBHOOK_DISABLED,)),
    Route("GET", "/webhooks/{uuid}/statistics", get_webhook_statistics, "Show how a webhook's deliveries go",
          Permission.WEBHOOKS_READ, StatisticsAnswer),
)  # fmt: skip
