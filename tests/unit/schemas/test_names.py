"""Names, topics and ids: what may be called what, and what is derived."""

import uuid
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids, names, topics
from schemas.errors import Refused
from schemas.reasons import Reason

UUID = "018bcfe5-6800-7de3-8e06-da34fa2c2e5e"


@pytest.mark.parametrize("good", ["a", "acme", "a-b_c", "0x", "a" * 63])
def test_takes_a_tenants_name(good: str) -> None:
    assert names.tenant(good) == good


@pytest.mark.parametrize("bad", ["", "A", "_a", "a_", "a__b", "a.b", "a" * 64, "ä", "a\n"])
def test_refuses_a_tenants_name(bad: str) -> None:
    with pytest.raises(Refused) as caught:
        names.tenant(bad)
    assert caught.value.reason is Reason.INVALID_NAME


@pytest.mark.parametrize("bad", ["", "Slack", "a.b", "name", UUID, UUID.upper(), "a" * 65, "a/b"])
def test_refuses_a_platforms_name(bad: str) -> None:
    with pytest.raises(Refused):
        names.platform(bad)


@pytest.mark.parametrize("bad", ["-a", "a_b", UUID, "a" * 64])
def test_refuses_a_label(bad: str) -> None:
    with pytest.raises(Refused):
        names.label("stream", bad)


@pytest.mark.parametrize("bad", ["", "a.b.c", "_s.t", "hookberg_x", "s.hookberg_x", "1a", "A", "a."])
def test_refuses_a_target_table(bad: str) -> None:
    with pytest.raises(Refused):
        names.target_table(bad)


def test_a_table_lives_in_the_tenants_namespace() -> None:
    assert names.namespace("acme", "events") == ("acme", "events")
    assert names.namespace("acme", "crm.events") == ("acme__crm", "events")


@given(st.text(max_size=200))
def test_a_slug_is_always_usable(text: str) -> None:
    slug = names.slug(text)
    assert 0 < len(slug) <= names.MAX_SLUG
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_has_the_rfcs_shape_and_its_time(epoch_ms: int, random: bytes) -> None:
    made = ids.uuid7(epoch_ms, random)
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert ids.uuid7_epoch_ms(made) == epoch_ms


def test_uuid7s_sort_by_time() -> None:
    made = [str(ids.uuid7(ms, bytes([255 - ms] * 10))) for ms in range(100)]
    assert all(early < late for early, late in pairwise(made))


def test_uuid7_refuses_what_it_cannot_hold() -> None:
    for bad in ((-1, bytes(10)), (1 << 48, bytes(10)), (0, bytes(9))):
        with pytest.raises(ValueError, match="48-bit"):
            ids.uuid7(*bad)


@given(st.text(max_size=50), st.text(max_size=50))
def test_an_event_id_is_a_uuid5_of_source_kind_and_vendors_id(source: str, vendor: str) -> None:
    made = uuid.UUID(ids.event_id(source, ids.IdKind.VENDOR, vendor))
    assert (made.version, made.variant) == (5, uuid.RFC_4122)
    assert str(made) == ids.event_id(source, ids.IdKind.VENDOR, vendor)
    assert str(made) != ids.event_id(source, ids.IdKind.HASH, vendor)


def test_event_ids_never_change() -> None:
    assert ids.event_id("s", ids.IdKind.VENDOR, "e") == str(
        uuid.uuid5(uuid.UUID("6f1f7bb4-3a0e-5b0a-9f0e-0d3c1a2b4c5d"), "s\0vendor\0e")
    )


def test_topics_are_named_and_taken_apart() -> None:
    assert topics.raw("acme", "slack") == "acme.webhook.slack"
    assert topics.parse("acme.event.my_app") == topics.TopicName("acme", topics.Kind.EVENT, "my_app")
    for name in ("acme.ledger", "acme.table", "acme.quarantine.x"):
        assert str(topics.parse(name)) == name
    for foreign in (topics.PRESSURE, "acme", "acme.other.x", ""):
        assert topics.parse(foreign) is None


def test_longest_names_fit_into_kafkas_limit() -> None:
    assert len(topics.quarantine("a" * 63, "p" * 64)) <= topics.MAX_TOPIC


def test_names_that_differ_in_dot_and_underscore_collide() -> None:
    assert topics.collides("a.webhook.b", "a_webhook.b")
    assert not topics.collides("a.webhook.b", "a.webhook.b")
    assert not topics.collides("a.webhook.b", "a.webhook.c")


def test_the_partition_is_crc32_of_the_key_and_never_moves() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert [topics.partition(key, 4) for key in (b"123456789", b"", b"evt_1")] == [
        0xCBF43926 % 4,
        0,
        zlib.crc32(b"evt_1") % 4,
    ]
