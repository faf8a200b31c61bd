"""`/deliveries`: the way of each accepted request, from POST to snapshot; the list, newest first.

A receipt is the address of one delivery with its authenticated position: one fetch instead of a search. Read through
ports.DeliveryReader. An unknown id, another tenant's and a receipt that was made up are one and the same 404.
"""

from typing import Any

from ingress import receipt
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.delivery_shapes import DeliveryAnswer, DeliveryPage
from ingress.api.routes import Query, Route
from schemas.definitions.key import Permission
from schemas.errors import Refused
from schemas.reasons import Reason

UNKNOWN = "no such delivery"
ITEMS = 200
"""Items of a delivery that are shown unless asked otherwise."""
_MAX_OFFSET = 1 << 62
_FILTERS = (
    Query("source", "string", "id or name of a source"),
    Query("outcome", "string", "clean, duplicate, quarantined, dropped_denied, dropped_unpinned, shed, empty, control, "
          "or pending: deliveries that have such an item", maximum=32),
    Query("vendorEventId", "string", "the vendor's id of an event: its delivery and every copy", maximum=512),
)  # fmt: skip
_WAY = (
    Query("at", "string", "of a receipt: the position", maximum=320),
    Query("mac", "string", "of a receipt: what makes it genuine", maximum=64),
    Query("item", "integer", "number of the first item shown", maximum=999_999_999),
    Query("limit", "integer", "how many items are shown; 200 unless told", minimum=1, maximum=10_000),
)


async def get_delivery(call: Call) -> Answer:
    """Show what became of a delivery: accepted, decided item by item, committed table by table."""
    delivery_id, at = call.path["id"], None
    if "at" in call.query or "mac" in call.query:
        given = str(call.query.get("at", "")), str(call.query.get("mac", ""))
        at = receipt.check(call.env.receipt_key, delivery_id, *given)
        if at is None or at[2] >= _MAX_OFFSET:
            raise Refused(Reason.NOT_FOUND, UNKNOWN)
    first, limit = int(call.query.get("item", 0)), int(call.query.get("limit", ITEMS))
    try:
        found = await call.env.deliveries.way(call.tenant, delivery_id, at, first, limit)
    except Refused as refused:
        if refused.reason is Reason.NOT_FOUND:
            raise Refused(Reason.NOT_FOUND, UNKNOWN) from None
        raise
    accepted = found["accepted"]
    return Answer({**found, "receipt": _receipt(call, delivery_id, None if accepted is None else accepted["position"])})


async def list_deliveries(call: Call) -> Answer:
    """List deliveries, newest first."""
    wanted = {query.name: str(call.query[query.name]) for query in _FILTERS if query.name in call.query}
    page = await call.env.deliveries.page(call.tenant, wanted, call.limit, call.cursor)
    lines = [{**line, "receipt": _receipt(call, line["deliveryId"], line["position"])} for line in page["items"]]
    return Answer({**page, "items": lines})


def _receipt(call: Call, delivery_id: str | None, at: dict[str, Any] | None) -> str | None:
    if delivery_id is None or at is None:
        return None
    return receipt.make(call.env.receipt_key, delivery_id, at["topicId"], at["partition"], at["offset"])


ROUTES = (
    Route("GET", "/deliveries", list_deliveries, "List deliveries", Permission.EVENTS_READ, DeliveryPage,
          query=(*_FILTERS, *shapes.PAGE)),
    Route("GET", "/deliveries/{id}", get_delivery, "Show what became of a delivery", Permission.EVENTS_READ,
          DeliveryAnswer, query=_WAY),
)  # fmt: skip
