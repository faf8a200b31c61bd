"""Deliveries: what senders post, and what the model knows of every item of a raw record.

Lives here: bodies with repeated ids inside and across deliveries, contents that conflict, bodies nobody can read, shed
markers and redrives. Not here: what became of them (checks).
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from schemas import ids, topics
from schemas.ids import IdKind
from schemas.wire import raw
from schemas.wire.quarantine import Quarantine
from schemas.wire.raw import AuthResult, RawMeta, Redrive
from tests.simulation.definitions import NOTHING, NUMBER, PARTITIONS, SOURCES, TENANT, TEXT
from tests.simulation.log import Header

RECEIVED_US = 1_773_828_000_123_000
_MEMBER: dict[str, Any] = {NUMBER: 1, TEXT: "x"}


@dataclass(frozen=True, slots=True)
class Item:
    """One item as posted; `key` None = the vendor gives no id."""

    key: str | None
    kind: str = "order"
    a: str = NUMBER
    content: int = 0
    attempt: int = 0

    def value(self) -> Any:
        """Return its JSON value."""
        if self.kind == "scalar":
            return self.content
        meta = {"attempt": self.attempt} if self.attempt else {}  # volatile: no part of the fingerprint
        made: dict[str, Any] = {"type": self.kind, "content": self.content, "meta": meta}
        if self.key is not None:
            made["id"] = self.key
        if self.a != NOTHING:
            made["a"] = _MEMBER[self.a]
        return made


@dataclass(frozen=True, slots=True)
class Posting:
    """One delivery; `shape` one of single, batch, broken, empty, shed, odd (headers nobody can read)."""

    source: str
    shape: str
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the model knows of one item of a raw record."""

    number: int
    event_id: str
    distinct_id: str
    content: str
    item: Item
    fate: str
    """decide, or the one outcome that it must have: shed, empty, control, or the reason of its quarantine."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A raw record: bytes, headers, where it goes, and what is known of its items."""

    source: str
    topic: str
    partition: int
    body: bytes
    meta: RawMeta | None
    headers: tuple[Header, ...]
    items: tuple[Known, ...]
    text: str = field(compare=False, default="")


def draw(random: Random, keys: int) -> Posting:
    """Draw a delivery; few keys, so that ids meet again and again."""
    source = random.choice(SOURCES)[0]
    shape = random.choices(("single", "batch", "broken", "empty", "shed", "odd"), (50, 36, 4, 3, 4, 3))[0]
    if shape not in ("single", "batch"):
        return Posting(source, shape)
    count = 1 if shape == "single" else random.choice((1, 2, 2, 3, 4, 5))
    return Posting(source, shape, tuple(_item(random, keys) for _ in range(count)))


def _item(random: Random, keys: int) -> Item:
    if random.random() < 0.03:
        return Item(None, "scalar", NOTHING, random.randrange(3))
    key = f"k{random.randrange(keys)}" if random.random() < 0.95 else None
    kind = random.choices(("order", "noise", "ping"), (85, 10, 5))[0]
    a = random.choices((NUMBER, TEXT, NOTHING), (60, 25, 15))[0]
    return Item(key, kind, a, int(random.random() < 0.1), random.choice((0, 0, 0, 1)))


def post(posting: Posting, number: int) -> Posted:
    """Return the raw record of a delivery, the `number`-th of its history."""
    platform, how = next((platform, how) for name, platform, how in SOURCES if name == posting.source)
    topic, count = topics.raw(TENANT, platform), PARTITIONS[platform]
    delivery = f"delivery-{number}"
    own = posting.items[0].key if how == "event" and posting.items else None
    if how == "event" and own is None:  # without an id for the delivery nothing in it may name one (rule 4)
        posting = replace(posting, items=tuple(replace(item, key=None) for item in posting.items))
    key = posting.source if how == "source" else own or delivery
    meta = RawMeta(
        delivery_id=delivery, source_id=posting.source, tenant=TENANT, received_at_us=RECEIVED_US, method="POST",
        path="/", query="", headers=(("Content-Type", "application/json"),), auth=AuthResult("none", "none"),
        event_id=own, shed="sample" if posting.shape == "shed" else None,
    )  # fmt: skip
    body = _body(posting)
    headers = (("hb-version", b"9"),) if posting.shape == "odd" else tuple(raw.encode(meta))
    known = tuple(_known(posting, meta, body, own))
    text = f"{posting.source} {posting.shape} " + " ".join(
        f"{item.key}/{item.kind[0]}{item.a[0]}{item.content}" for item in posting.items
    )
    kept = None if posting.shape == "odd" else meta
    return Posted(posting.source, topic, topics.partition(key.encode(), count), body, kept, headers, known, text)


def redrive(original: Posted, row: Quarantine, *, distinct: bool) -> Posted | None:
    """Return the raw record that a redrive of a row writes (rule 16), None for a record without readable headers.

    A row of a delivery that nobody could read is all of it. `distinct` is for rows under an id of their own only; the
    others are redriven as they would be without it.
    """
    if original.meta is None:
        return None
    place, number = row.position[:3], row.position.item
    distinct = distinct or (original.meta.redrive is not None and original.meta.redrive.as_distinct)
    whole = row.payload == original.body
    meta = RawMeta(
        **{
            **{name: getattr(original.meta, name) for name in original.meta.__struct_fields__},
            "redrive": Redrive(*place, "job", () if whole else (number,), distinct, (row.event_id,)),
        }
    )
    items = tuple(
        replace(one, event_id=one.distinct_id, distinct_id=one.event_id)
        if distinct and one.distinct_id == row.event_id
        else one
        for one in original.items
        if whole or one.number == number
    )
    return replace(
        original, meta=meta, headers=tuple(raw.encode(meta)), items=items,
        text=f"redrive{' as distinct' if distinct else ''} of {place} {'whole' if whole else f'item {number}'}",
    )  # fmt: skip


def _body(posting: Posting) -> bytes:
    if posting.shape == "broken":
        return b'{"broken": '
    if posting.shape == "empty":
        return b"[]"
    if posting.shape == "shed":
        return b""
    values = [item.value() for item in posting.items]
    return json.dumps(values if posting.shape == "batch" else values[0] if values else {}).encode()


def _known(posting: Posting, meta: RawMeta, body: bytes, own: str | None) -> list[Known]:
    """Work out ids and fates from the contract, not from the product's code."""
    source, delivery = posting.source, meta.delivery_id
    if posting.shape in ("broken", "empty", "shed", "odd"):
        fate = {"broken": "not_parseable", "odd": "bad_record"}.get(posting.shape, posting.shape)
        event_id = "?" if posting.shape == "odd" else ids.event_id(source, IdKind.DELIVERY, f"{delivery}:0")
        return [Known(0, event_id, "", body.decode(), Item(None), fate)]
    found = []
    for number, item in enumerate(posting.items):
        if own is not None:
            kind, text = IdKind.VENDOR, own + (f":{number}" if posting.shape == "batch" else "")
        elif item.key is not None and item.kind != "scalar":
            kind, text = IdKind.VENDOR, item.key
        else:
            kind, text = IdKind.DELIVERY, f"{delivery}:{number}"
        plain = replace(item, attempt=0).value()
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        print_ = hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()
        fate = "control" if item.kind == "ping" else "not_an_object" if item.kind == "scalar" else "decide"
        found.append(
            Known(
                number,
                ids.event_id(source, kind, text),
                ids.event_id(source, kind, f"{text}#{print_}"),
                canonical,
                item,
                fate,
            )
        )
    return found
