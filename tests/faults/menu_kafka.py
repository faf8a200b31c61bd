"""Faults of Kafka itself: brokers killed, a log's tail cut off, a topic made anew.

Lives here: what an operator or a power failure does to brokers and topics. Redrives and pauses: menu_stage.py.
Record batches on disk: https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from tests.faults.gather import raw_topic, undecided
from tests.faults.history import Cut, Partition
from tests.faults.topics import Read, avro, ids, read_all, served
from tests.faults.traffic import PLATFORMS
from tests.system.client import eventually

if TYPE_CHECKING:
    from tests.faults.run import Run

_BATCH = struct.Struct(">qi")
_HEAD = 12
_LEAST = 12
WAIT_S = 180.0


def kill_broker(run: "Run") -> str:
    """Kill the only broker and start it again on its disk."""
    seconds = run.rng.uniform(0.2, 4.0)
    run.stack.broker.kill()
    run.last(seconds)
    _start_again(run)
    return f"SIGKILL, away for {seconds:.1f} s"


def _start_again(run: "Run") -> None:
    run.stack.broker.start(timeout_s=WAIT_S)
    kinds = ("webhook", "event", "quarantine")
    names = [f"{run.tenant}.{kind}.{platform}" for kind in kinds for platform in PLATFORMS]
    eventually(
        "every partition has its leader", lambda: served(run.stack.bootstrap, [*names, f"{run.tenant}.ledger"]), WAIT_S
    )


def kill_leader(run: "Run") -> str:
    """Kill the leader of a raw partition; it comes back after a while."""
    topic = raw_topic(run.tenant, run.rng.choice(PLATFORMS))
    return _kill_node(run, _leader(run.stack.bootstrap, topic, None), f"leader of {topic}")


def kill_coordinator(run: "Run") -> str:
    """Kill the node that coordinates the stage's transactions, its group, or the writers'; it comes back."""
    topic, key = run.rng.choice((
        ("__transaction_state", "hookberg-0"), ("__consumer_offsets", "hookberg-0"),
        ("__consumer_offsets", "hookberg-sinks"),
    ))  # fmt: skip
    return _kill_node(run, _leader(run.stack.bootstrap, topic, key), f"coordinator of {key} ({topic})")


def _kill_node(run: "Run", node: int, what: str) -> str:
    seconds = run.rng.uniform(1.0, 8.0)
    run.stack.broker.kill([node])
    run.last(seconds)
    run.stack.broker.start([node], WAIT_S)
    eventually("all brokers are back", run.stack.broker.ready, WAIT_S)
    return f"node {node}, {what}, away for {seconds:.1f} s"


def _leader(bootstrap: str, topic: str, key: str | None) -> int:
    """Return the leader of partition 0, or of the partition in which a coordinator keeps `key`."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    told = admin.list_topics(topic, timeout=10).topics[topic].partitions
    return int(told[0 if key is None else abs(_java_hash(key)) % len(told)].leader)


def _java_hash(text: str) -> int:
    """Return `String.hashCode()`, by which Kafka spreads groups and transactional ids."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


# ---- topics
def made_anew(run: "Run") -> str:
    """Delete a raw topic and make it again under the same name, sometimes before everything in it was decided."""
    platform, bootstrap = run.rng.choice(PLATFORMS), run.stack.bootstrap
    name = raw_topic(run.tenant, platform)
    run.sender.pause()
    all_decided = run.rng.random() < 0.5
    if all_decided:
        eventually("all is decided", lambda: undecided(bootstrap, run.tenant) == 0, WAIT_S)
    _quiet(run, name)
    topic_id, partitions = ids(bootstrap, [name])[name]
    found = read_all(bootstrap, [name])
    for record in found.of(name):
        run.archive.gone.setdefault((topic_id, record.partition), []).append(record)
    run.archive.gone_ends |= {(topic_id, n): end for (_, n), end in found.ends.items()}
    run.archive.platforms[topic_id] = platform
    admin = AdminClient({"bootstrap.servers": bootstrap})
    told = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)])
    config = {
        key: entry.value for one in told.values() for key, entry in one.result(10).items() if not entry.is_default
    }
    admin.delete_topics([name])[name].result(20)
    replicas = len(run.stack.broker.config.nodes)

    def made() -> bool:
        try:
            admin.create_topics([NewTopic(name, partitions, replicas, config=config)])[name].result(10)
        except KafkaException:
            return False
        return True

    eventually("the topic is made anew", made, WAIT_S)
    run.sender.resume()
    return f"{name}, {sum(found.ends.values())} records{', all decided' if all_decided else ''}"


def cut_tail(run: "Run") -> str:
    """Kill the broker, cut the end of a raw partition's log off in the middle of a batch, start it again."""
    bootstrap, keeper = run.stack.bootstrap, run.stack.keeper
    ahead = run.rng.random() < 0.7  # else the stage is down before the tail is written
    if not ahead:
        keeper.kill("streams", hold=True)
        run.sender.wait_posts(30)
    run.sender.pause()
    if ahead:
        eventually("all is decided", lambda: undecided(bootstrap, run.tenant) == 0, WAIT_S)
    key, name, records = _longest(run)
    run.stack.broker.kill()
    path = run.stack.broker.config.node_dir(1) / "log" / f"{name}-{key[1]}"
    first = _cut(path, run.rng.randrange(1, _LEAST))
    gone = [record for record in records if record.offset >= first]
    assert gone, "nothing was cut"
    run.archive.cut[key] = gone
    run.archive.cuts[key] = Cut(first, gone[-1].offset + 1)
    at_once = run.rng.random() < 0.5
    if at_once:  # the log may be past the stage's position again before the stage looks
        run.sender.resume()
    _start_again(run)
    keeper.resume("streams")
    if ahead:
        eventually("the loss is in the ledger", lambda: _told(run, key), WAIT_S)
    run.sender.resume()
    what = f"{', decided' if ahead else ''}{', written on at once' if at_once else ''}"
    return f"{name}/{key[1]} cut at {first}, {len(gone)} records{what}"


def _longest(run: "Run") -> tuple[Partition, str, list[Read]]:
    """Return the raw partition with most records of those not cut yet: key, topic, records."""
    names = [raw_topic(run.tenant, platform) for platform in PLATFORMS]
    for name in names:
        _quiet(run, name)
    known, found = ids(run.stack.bootstrap, names), read_all(run.stack.bootstrap, names)
    by_key: dict[Partition, list[Read]] = {}
    for record in found.records:
        by_key.setdefault((known[record.topic][0], record.partition), []).append(record)
    key = max((key for key in by_key if key not in run.archive.cuts), key=lambda key: len(by_key[key]))
    assert len(by_key[key]) > _LEAST, "too little was written yet"
    return key, by_key[key][0].topic, by_key[key]


def _quiet(run: "Run", name: str) -> None:
    """Wait until nothing is written any more: answers that came too late may be followed by their records."""
    last: dict[Any, int] = {}

    def still() -> bool:
        nonlocal last
        before, last = last, _ends(run.stack.bootstrap, name)
        run.last(0.5)
        return before == last

    eventually(f"{name} is quiet", still, WAIT_S)


def _ends(bootstrap: str, name: str) -> dict[Any, int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        parts = consumer.list_topics(name, timeout=10).topics[name].partitions
        return {n: consumer.get_watermark_offsets(TopicPartition(name, n), timeout=10)[1] for n in parts}
    finally:
        consumer.close()


def _cut(folder: Path, records: int) -> int:
    """Cut the last segment inside the batch that holds the `records`-th last offset; return the new end offset."""
    path = max(folder.glob("*.log"))
    data, at = path.read_bytes(), 0
    batches: list[tuple[int, int]] = []
    while at + _HEAD <= len(data):
        offset, length = _BATCH.unpack_from(data, at)
        if length <= 0 or at + _HEAD + length > len(data):
            break
        batches.append((offset, at))
        at += _HEAD + length
    first, start = batches[max(0, len(batches) - records)]
    with path.open("r+b") as file:
        file.truncate(start + 20)  # a torn batch, which the broker drops
    return first


def _told(run: "Run", key: Partition) -> bool:
    """Tell whether the ledger has a loss in this partition (or the stage had not come that far)."""
    found = read_all(run.stack.bootstrap, [f"{run.tenant}.ledger"])
    records = [avro("ledger.v1", record.value) for record in found.records]
    return any(record["lost"] for record in records if (record["topicId"], record["partition"]) == key)
