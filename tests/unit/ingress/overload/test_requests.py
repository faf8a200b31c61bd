"""What requests of strained sources meet, through `receive`: delayed, refused, shed."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from ingress.arrival import Reply
from ingress.overload import policies
from ingress.overload.policies import Strain
from schemas.overload import Level
from schemas.reasons import Reason
from schemas.signing import SignedRequest, sign
from schemas.vendors import VENDORS
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}
SHED = {"policy": "shed", "shed": {"keepRatio": 0.5, "lossRatio": 0.25, "windowSeconds": 60}}
ALARM = Strain(Level.ALARM, "shed", sheds=True, keep_ratio=0.5, retry_s=20.0)


def edge(vendor: str = "shop", overload: Mapping[str, object] | None = None) -> Edge:
    auth = "none" if vendor == "shop" else vendor
    return Edge(snapshot([source(vendor, auth=auth, overload=overload)], keys={"hbk_a": key()}))


async def post(one: Edge, vendor: str = "shop", delivery: str | None = None) -> Reply:
    body = b'{"n":1}'
    headers = HEADERS
    scheme = VENDORS[vendor].auth if vendor in VENDORS else None
    if scheme is not None:
        headers = {"X-Tenant-Id": "acme"} | dict(
            sign(scheme, SignedRequest("POST", "", (), body), [b"s3cret"], one.clock.at_s)
        )
    return await one.post(
        f"/api/v1/webhooks/{vendor}", body, headers | ({} if delivery is None else {"X-GitHub-Delivery": delivery})
    )


def strain(one: Edge, meets: Strain, vendor: str = "shop") -> None:
    one.overload.strained = {f"src-acme-{vendor}": meets}


@pytest.mark.parametrize(
    ("vendor", "reason", "status"),
    [
        ("stripe", Reason.BACKLOG_ALARM, 429),
        ("gitlab", Reason.BACKLOG_ALARM, 503),
        ("stripe", Reason.BACKLOG_BOUND, 503),
    ],
)
async def test_a_refusal_says_when_to_come_back_in_the_vendors_way(vendor: str, reason: Reason, status: int) -> None:
    one = edge(vendor)
    strain(one, Strain(Level.ALARM, "reject", refused=reason, retry_s=17.2), vendor)
    reply = await post(one, vendor)
    assert (reply.status, reply.reason, reply.headers) == (status, reason, (("Retry-After", "18"),))
    assert json.loads(reply.body)["status"] == status
    assert one.publisher.records == []
    await one.tally.flush()
    assert one.sink.rows["start-1", f"src-acme-{vendor}"]["refused"] == {reason.value: 1}
    assert one.admission.requests == 0


async def test_a_delayed_answer_comes_after_the_record_is_stored_and_holds_nothing() -> None:
    one = edge()
    strain(one, Strain(Level.ALARM, "queue", delay_s=600.0))
    answering = asyncio.create_task(post(one))
    while not len(one.overload.delays):
        await asyncio.sleep(0)
    assert [kept.value for kept in one.publisher.records] == [b'{"n":1}']
    assert one.admission.requests == one.admission.held == 0
    await one.tally.flush()
    assert one.sink.rows["start-1", "src-acme-shop"]["accepted"] == 1  # it is stored, whoever sees the answer
    one.overload.delays.end()
    assert (await asyncio.wait_for(answering, 5)).status == 200


async def test_what_is_refused_is_answered_at_once() -> None:
    one = edge("github")
    strain(one, Strain(Level.ALARM, "queue", delay_s=600.0), "github")
    reply = await asyncio.wait_for(one.post("/api/v1/webhooks/github", b"{}", {"X-Tenant-Id": "acme"}), 5)
    assert reply.status == 401


async def test_a_request_that_took_longer_than_its_delay_waits_no_more() -> None:
    one = edge()
    strain(one, Strain(Level.WARN, "queue", delay_s=3.0))
    one.publisher.on_publish = lambda: one.clock.advance(4)
    assert (await asyncio.wait_for(post(one), 5)).status == 200


async def test_shedding_stores_a_marker_counts_it_and_answers_as_ever() -> None:
    one = edge(overload=SHED)
    fates = await shed(one, 400)
    markers = [kept for kept in one.publisher.records if kept.meta.shed is not None]
    assert fates.count("shed") == len(markers) > 20
    assert {kept.value for kept in markers} == {b""}
    assert all(kept.meta.shed == "sample" and kept.meta.headers for kept in markers)
    assert {kept.value for kept in one.publisher.records if kept.meta.shed is None} == {b'{"n":1}'}
    await one.tally.flush()
    row = one.sink.rows["start-1", "src-acme-shop"]
    assert (row["shed"], row["accepted"]) == (len(markers), len(one.publisher.records))
    assert row["refused"] == {"loss_budget_spent": fates.count("loss_budget_spent")}
    assert 0.2 * row["accepted"] <= row["shed"] <= 0.25 * row["accepted"]


async def shed(one: Edge, count: int) -> list[str]:
    """Post while the source sheds, with deliveries of their own; return what became of each."""
    numbers = iter(range(10**6))
    object.__setattr__(one.env, "random_bytes", lambda size: next(numbers).to_bytes(size, "big"))
    one.overload.tend()
    strain(one, ALARM)
    replies = [await post(one) for _ in range(count)]
    assert all(reply.status == (200 if reply.reason is None else 429) for reply in replies)
    return [reply.outcome if reply.reason is None else reply.reason.value for reply in replies]


async def test_a_source_without_a_budget_yet_loses_nothing() -> None:
    one = edge(overload=SHED)
    strain(one, ALARM)
    replies = [await post(one) for _ in range(20)]
    assert {kept.meta.shed for kept in one.publisher.records} <= {None}
    assert {reply.reason for reply in replies} <= {None, Reason.LOSS_BUDGET_SPENT}


async def test_the_same_event_has_the_same_fate_however_often_it_comes() -> None:
    one = edge("github", SHED | {"shed": {"keepRatio": 0.5, "lossRatio": 1.0, "windowSeconds": 60}})
    one.overload.tend()
    for number in range(50):
        assert (await post(one, "github", f"calm-{number}")).outcome == "accepted"
    strain(one, ALARM, "github")
    for number in range(20):
        seen = {(await post(one, "github", f"d-{number}")).outcome for _ in range(2)}
        assert seen == {"accepted" if policies.is_kept(b"src-acme-github:d-%d" % number, 0.5) else "shed"}


async def test_who_is_not_proven_is_not_shed() -> None:
    one = edge("github", SHED)
    strain(one, ALARM, "github")
    replies = [await one.post("/api/v1/webhooks/github", b"{}", {"X-Tenant-Id": "acme"}) for _ in range(20)]
    assert {reply.status for reply in replies} == {401}
    assert one.publisher.records == []


async def test_without_a_broker_nothing_is_shed_in_silence() -> None:
    one = edge(overload=SHED)
    assert "shed" in await shed(one, 60)
    one.publisher.offset_given = -1
    replies = [await post(one) for _ in range(60)]
    assert {reply.status for reply in replies} <= {429, 503}
