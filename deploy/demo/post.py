"""Signs deliveries as their vendors do and posts them with bounded concurrency.

Lives here: the vendor's headers around the signature, and the client. The signature itself: schemas/signing.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence

import aiohttp

from deploy.demo.generate import Delivery
from schemas.signing import SignedRequest, sign
from schemas.vendors import VENDORS

CONCURRENCY = 20
TIMEOUT_S = 30


_NAMED = re.compile(r"\{h\.([A-Za-z0-9-]+)\}")


def signed_headers(
    platform: str, secret: str, body: bytes, *, event: str, delivery: str, now_s: int, url: str = ""
) -> dict[str, str]:
    """Return the headers that `platform` sends with `body` to `url`, signed with `secret` at `now_s`.

    Raises ValueError where the vendor's proof stands in no header, or the secret cannot sign (a public key cannot).
    """
    vendor = VENDORS.get(platform)
    headers = {"Content-Type": "application/json", "User-Agent": "hookberg-send"}
    if platform == "github":
        headers |= {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-GitHub-Hook-ID": "1"}
    if vendor is None or vendor.auth is None:
        return headers | {"X-Webhook-Id": delivery}
    times = {vendor.auth.freshness.name} if vendor.auth.freshness is not None else set()
    headers |= {name: delivery for name in _NAMED.findall(vendor.auth.message) if name not in times}
    request = SignedRequest("POST", url, tuple(headers.items()), body)
    return headers | dict(sign(vendor.auth, request, [secret.encode()], now_s))


async def post_all(
    ingest_url: str,
    tenant: str,
    secrets: dict[str, str],
    deliveries: Sequence[Delivery],
    on_done: Callable[[], None],
) -> Counter[tuple[str, int]]:
    """Post every delivery once; return how many of each expectation got which HTTP status (0 = no answer)."""
    answers: Counter[tuple[str, int]] = Counter()
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(session: aiohttp.ClientSession, delivery: Delivery) -> None:
        headers = signed_headers(
            delivery.platform,
            secrets[delivery.platform],
            delivery.body,
            event=delivery.event,
            delivery=delivery.delivery_id,
            now_s=int(time.time()),
        )
        body = delivery.body.replace(b"e", b"3", 1) if delivery.tampered else delivery.body
        async with gate:
            try:
                async with session.post(
                    f"{ingest_url}/api/v1/webhooks/{delivery.platform}",
                    data=body,
                    headers=headers | {"X-Tenant-Id": tenant},
                ) as answer:
                    await answer.read()
                    answers[delivery.expect, answer.status] += 1
            except (aiohttp.ClientError, TimeoutError):
                answers[delivery.expect, 0] += 1
        on_done()

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        await asyncio.gather(*(one(session, delivery) for delivery in deliveries))
    return answers
