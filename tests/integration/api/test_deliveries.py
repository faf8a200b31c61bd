"""`/deliveries`: receipts are checked, unknown ids are one refusal, bounds and filters reach the reader."""

from typing import Any

import pytest

from ingress import receipt
from schemas.definitions.key import Permission
from tests.integration.api.world import RECEIPT_KEY, Api

ID, OTHER = "019d0bd2-7a80-7cc3-98c4-dc0c0c07398f", "019d0bd2-7a80-7cc3-98c4-dc0c0c073990"
TOPIC = "RAWTOPICIDRAWTOPICID01"
WAY: dict[str, Any] = {
    "deliveryId": ID, "state": "pending", "accepted": {"position": {"topicId": TOPIC, "partition": 3, "offset": 17}},
    "decided": None, "items": [], "nextItem": None, "tables": [], "incomplete": False, "why": [],
}  # fmt: skip


async def test_a_receipt_is_the_address_of_its_delivery(api: Api) -> None:
    api.deliveries.known["default", ID] = WAY
    path = receipt.make(RECEIPT_KEY, ID, TOPIC, 3, 17)
    reply = await api.send("GET", path)
    assert reply.status == 200
    assert reply.json["receipt"] == path
    assert (await api.send("GET", f"/deliveries/{ID}?item=5&limit=7")).json["receipt"] == path
    assert api.deliveries.asked == [("default", ID, (TOPIC, 3, 17), 0, 200), ("default", ID, None, 5, 7)]


async def test_every_delivery_that_is_not_there_is_refused_alike(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    api.deliveries.known["acme", OTHER] = api.deliveries.known["default", ID] = WAY
    genuine = receipt.make(RECEIPT_KEY, ID, TOPIC, 3, 17)
    forged = receipt.make(b"another key", ID, TOPIC, 3, 17)
    paths = (
        f"/deliveries/{OTHER}", "/deliveries/none", f"/deliveries/{'x' * 200}", forged, genuine.replace(ID, OTHER),
        genuine.replace(".17&", ".18&"), genuine.split("&mac")[0], f"/deliveries/{ID}?mac=0", f"{genuine}0",
        receipt.make(RECEIPT_KEY, ID, TOPIC, 3, 1 << 62),
    )  # fmt: skip
    told = set()
    for path in paths:
        reply = await api.send("GET", path)
        assert reply.reason == "not_found", path
        told.add(tuple((name, value) for name, value in reply.json.items() if name != "instance"))
    assert len(told) == 1, told


async def test_the_list_passes_filters_on_and_gives_each_line_its_receipt(api: Api) -> None:
    line = {"deliveryId": ID, "position": {"topicId": TOPIC, "partition": 3, "offset": 17}}
    api.deliveries.known["default", ID] = line
    api.deliveries.known["default", OTHER] = {**line, "deliveryId": None}
    reply = await api.send("GET", "/deliveries?source=github&outcome=shed&vendorEventId=e%201&limit=3&cursor=x")
    assert [one["receipt"] for one in reply.json["items"]] == [receipt.make(RECEIPT_KEY, ID, TOPIC, 3, 17), None]
    assert api.deliveries.asked == [
        ("default", {"source": "github", "outcome": "shed", "vendorEventId": "e 1"}, 3, "x")
    ]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "oucome=shed", f"vendorEventId={'x' * 513}"])
async def test_a_list_that_cannot_be_is_refused(api: Api, query: str) -> None:
    assert (await api.send("GET", f"/deliveries?{query}")).reason == "bad_request"


async def test_a_key_sees_its_own_tenants_deliveries(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    api.deliveries.known["acme", ID] = WAY
    key = await api.key_for("default", Permission.EVENTS_READ)
    assert (await api.send("GET", f"/deliveries/{ID}", key=key)).status == 404
    assert (await api.send("GET", f"/deliveries/{ID}", tenant="acme")).status == 200
    other = await api.key_for("acme", Permission.TABLES_READ)
    assert (await api.send("GET", f"/deliveries/{ID}", key=other)).reason == "forbidden"
