"""The stage on a real broker: every item exactly one outcome, in the right topic, the sums in the ledger."""

from collections.abc import Iterator

import pytest

from schemas.reasons import Outcome
from tests.house.polling import wait_until
from tests.integration.streams.stack import STRICT, Stage


@pytest.fixture(scope="module")
def stage(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield a stage with a running worker; tests take platforms of their own."""
    made = Stage(kafka_bootstrap, tmp_path_factory.mktemp("stage"))
    made.registry["schemas"].append([made.tenant, "s@1", STRICT])
    made.add("first")
    made.start()
    yield made
    try:
        assert made.stop() == 0
    finally:
        made.close()


def test_each_item_has_one_outcome_and_the_ledger_agrees(stage: Stage) -> None:
    source = stage.add("shop", pins={"order.*": "s@1"}, eventTypes={"deny": ["noise"]})
    stage.send("shop", source, b' {"id":"a","type":"order.new","n":1, "big": 12345678901234567890.10} ')
    stage.send("shop", source, b'{"id":"a","type":"order.new","n":1,"big":12345678901234567890.100,"attempt":2}')
    stage.send("shop", source, {"id": "a", "type": "order.new", "n": 2})
    stage.send("shop", source, [{"id": "b", "type": "order.new", "n": "x"}, {"id": "c"}, {"id": "c"}, 7])
    stage.send("shop", source, {"id": "b", "type": "order.new", "n": "x"})
    stage.send("shop", source, {"id": "b", "type": "order.new", "n": 5})
    stage.send("shop", source, {"id": "d", "type": "noise"})
    stage.send("shop", source, {"id": "e", "type": "ping"})
    stage.send("shop", source, b"[ ]")
    stage.send("shop", source, b"not json")
    stage.send("shop", source, b"<a/>", headers=(("content-type", "text/xml"),))
    stage.send("shop", source, b"{}", raw_headers=[("hb-version", b"9")])
    stage.send("shop", "nobody", b"{}")
    stage.flush()
    found = stage.await_items(["shop"], 16)
    expected = {
        Outcome.CLEAN: 3, Outcome.DUPLICATE: 3, Outcome.QUARANTINED: 7,
        Outcome.DROPPED_DENIED: 1, Outcome.CONTROL: 1, Outcome.EMPTY: 1,
    }  # fmt: skip
    assert found.outcomes() == {outcome.value: n for outcome, n in expected.items()}
    first = next(event for event in found.clean if event["vendorEventId"] == "a")
    assert first["_raw"].endswith(b'"payload":{"id":"a","type":"order.new","n":1, "big": 12345678901234567890.10}}')
    assert first["schema"] == "s@1"
    assert sorted(record.reason for record in found.quarantine if record.kind == "failed") == [
        "bad_record", "bad_record", "id_conflict", "not_an_object", "not_parseable", "schema_violation",
        "unsupported_content_type",
    ]  # fmt: skip
    resolved = [record for record in found.quarantine if record.kind == "resolved"]
    failed = next(record for record in found.quarantine if record.reason == "schema_violation")
    assert [record.position for record in resolved] == [failed.position]
    assert failed.pointer == "/n"


def test_a_topic_added_while_running_is_read(stage: Stage) -> None:
    first = stage.add("one")
    stage.send("one", first, {"id": "1"})
    stage.flush()
    stage.await_items(["one"], 1)
    second = stage.add("two")
    stage.send("two", second, {"id": "1"})
    stage.flush()
    found = stage.await_items(["one", "two"], 2)
    assert {event["platform"] for event in found.clean} == {"one", "two"}


def test_a_paused_topic_stands_still_and_goes_on(stage: Stage) -> None:
    source, other = stage.add("held"), stage.add("free")
    stage.send("held", source, {"id": "0"})
    stage.flush()
    stage.await_items(["held"], 1)
    topic = next(topic for topic in stage.registry["topics"] if topic["platform"] == "held")
    topic["paused"] = True
    stage.save()
    wait_until(lambda: "topics_held" in stage.log(), 5, what="pause taken over")
    stage.send("held", source, {"id": "1"})
    stage.flush()
    stage.send("free", other, {"id": "1"})
    stage.flush()
    stage.await_items(["free"], 1)
    found = stage.read(["held", "free"])
    assert sorted(event["platform"] for event in found.clean) == ["free", "held"]
    topic["paused"] = False
    stage.save()
    found = stage.await_items(["held", "free"], 3)
    assert sorted(event["platform"] for event in found.clean) == ["free", "held", "held"]
