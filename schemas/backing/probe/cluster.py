"""Probes of Kafka: brokers and their release, our clock against theirs, topics and their settings.

Lives here: asking and judging. Not here: what a topic shall be (backing/kafka/layout.py).
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from schemas.backing.kafka import client_config, layout
from schemas.backing.kafka.layout import BROKER_CLOCK, TIMESTAMPS, Wanted
from schemas.backing.probe import Finding, Status, broker_version, fail, ok, warn
from schemas.definitions.view import Snapshot
from schemas.settings.processes import KafkaSettings
from schemas.topics import OWNERSHIP, Kind

ASK_S = 5.0
BAD_RELEASE = "4.3"
SKEW_WARN_S, SKEW_FAIL_S = 5.0, 30.0
"""readyz refuses at the second (spec section 4)."""
MOST_NAMED = 5
_MS = 1000
MEND_MISSING = (
    "PUT its source again (`hookberg source`), which makes what is missing; what was in a deleted topic is gone"
)
_FATAL = frozenset({TIMESTAMPS, "max.message.bytes", "cleanup.policy"})
_AT_LEAST = frozenset({"max.message.bytes", "retention.ms", "min.insync.replicas"})
MEND_BROKER = (
    "start Kafka, and check HOOKBERG_KAFKA_BOOTSTRAP_SERVERS, HOOKBERG_KAFKA_SECURITY_PROTOCOL and the SASL settings"
)


def brokers(given: KafkaSettings) -> list[Finding]:
    """Ask the cluster for its brokers, one of them for its release; too few for the replication factor is a failure."""
    known = _admin(given).list_topics(timeout=ASK_S).brokers
    found = [ok("broker", f"{len(known)} broker(s) answer at {given.kafka_bootstrap_servers}")]
    if len(known) < given.replication_factor:
        text = f"{len(known)} broker(s), replication factor {given.replication_factor}: no topic can be made"
        found.append(fail("replication", text, "add brokers, or lower HOOKBERG_REPLICATION_FACTOR"))
    elif given.replication_factor < 3:  # noqa: PLR2004 spec section 2
        text = f"replication factor {given.replication_factor}: a broker's disk is the only copy"
        mend = "in production 3 brokers, HOOKBERG_REPLICATION_FACTOR=3 and HOOKBERG_MIN_INSYNC_REPLICAS=2"
        found.append(warn("replication", text, mend) if len(known) > 1 else ok("replication", f"{text} (one broker)"))
    else:
        found.append(ok("replication", f"factor {given.replication_factor}, {given.min_insync_replicas} in sync"))
    ordered = [known[number] for number in sorted(known)]
    return [*found, *(_release(given, str(broker.host), int(broker.port or 0)) for broker in ordered[:MOST_NAMED])]


def _release(given: KafkaSettings, host: str, port: int) -> Finding:
    tls = None
    if given.kafka_security_protocol.endswith("SSL"):
        tls = ssl.create_default_context(cafile=given.kafka_ssl_ca_file)
    try:
        level = broker_version.ask(host, port, ASK_S, tls)
    except (OSError, IndexError) as error:
        return warn("kafka version", f"{host}:{port} does not tell its release: {error}", "look it up: not 4.3.x")
    return judged_release(f"{host}:{port}", level)


def judged_release(where: str, level: int | None) -> Finding:
    """Judge a broker by the highest metadata.version that it supports."""
    release = broker_version.release(level)
    if release is None:
        return warn("kafka version", f"{where} does not tell its release", "look it up: not 4.3.x, and 3.3 at least")
    if release == BAD_RELEASE:
        text = f"{where} is Apache Kafka {release}: after a broker's crash, what was never committed can be read"
        return warn("kafka version", f"{text} (KAFKA-20734)", "use 4.1, 4.2 or 4.4 (README, Limits)")
    return ok("kafka version", f"{where} is Apache Kafka {release}")


def written(given: KafkaSettings, now_ms: Callable[[], int], word: str) -> list[Finding]:
    """Make a topic of our own, write one record into it, delete it: what that tells of rights and of the clocks."""
    name, admin = f"_hookberg.doctor-{word}", _admin(given)
    settings = {TIMESTAMPS: BROKER_CLOCK, "min.insync.replicas": str(given.min_insync_replicas)}
    made = NewTopic(name, num_partitions=1, replication_factor=given.replication_factor, config=settings)
    admin.create_topics([made], operation_timeout=ASK_S)[name].result(ASK_S)
    try:
        stamped, before, after = _stamp(given, name, now_ms)
    finally:
        admin.delete_topics([name], operation_timeout=ASK_S)[name].result(ASK_S)
    skew_ms = max(before - stamped, 0) - max(stamped - after, 0)
    text = f"a topic was made, written to with acks=all in {after - before} ms, and deleted"
    return [ok("kafka write", text), judged_skew(skew_ms / _MS)]


def _stamp(given: KafkaSettings, name: str, now_ms: Callable[[], int]) -> tuple[int, int, int]:
    """Write a record; return the broker's time of it, and ours before and after."""
    told: list[Any] = []
    config = {**client_config(given), "acks": "all", "delivery.timeout.ms": int(ASK_S * _MS), "linger.ms": 0}
    producer = Producer(config | {"topic.metadata.refresh.interval.ms": 100})
    producer.list_topics(name, ASK_S)
    for _ in range(2):  # the first one waits for the leader of a topic that was just made
        told.clear()
        before = now_ms()
        producer.produce(name, b"doctor", on_delivery=lambda error, message: told.append(error or message))
        producer.flush(ASK_S)
        after = now_ms()
        if not told or isinstance(told[0], KafkaError):
            raise OSError(f"the record was not taken: {told[0] if told else 'no report'}")
    return int(told[0].timestamp()[1]), before, after


def judged_skew(skew_s: float) -> Finding:
    """Judge our clock less the broker's."""
    text = f"this machine's clock is {abs(skew_s):.1f} s {'ahead of' if skew_s > 0 else 'behind'} the broker's"
    mend = "run a time service (chrony, systemd-timesyncd) on both"
    if abs(skew_s) >= SKEW_FAIL_S:
        return fail("clock", f"{text}: /readyz of the doors refuses, signatures with times fail", mend)
    if abs(skew_s) >= SKEW_WARN_S:
        return warn("clock", text, mend)
    return ok("clock", f"within {max(abs(skew_s), 0.1):.1f} s of the broker's")


def topics(given: KafkaSettings, wanted: Sequence[Wanted]) -> list[Finding]:
    """Compare the topics that there shall be with what there is: missing ones, leaders, copies, settings."""
    admin = _admin(given)
    known = admin.list_topics(timeout=ASK_S).topics
    there = [one for one in wanted if one.name in known]
    resources = [ConfigResource(ConfigResource.Type.TOPIC, one.name) for one in there]
    configs: dict[str, Mapping[str, str]] = {}
    if resources:
        for resource, future in admin.describe_configs(resources, request_timeout=ASK_S).items():
            configs[resource.name] = {name: entry.value for name, entry in future.result(ASK_S).items()}
    faults = [fail("topics", f"{one.name} is missing", MEND_MISSING) for one in wanted if one.name not in known]
    for one in there:
        parts = known[one.name].partitions.values()
        if any(part.leader < 0 for part in parts):
            faults.append(fail("topics", f"{one.name}: a partition has no leader", "bring its brokers back"))
        copies = min((len(part.replicas) for part in parts), default=0)
        in_sync = min((len(part.isrs) for part in parts), default=0)
        faults += judged_topic(one, copies, in_sync, configs[one.name], given)
    if not faults:
        return [ok("topics", f"{len(wanted)} topics are there, led and set as they shall be")]
    if len(faults) > MOST_NAMED:
        more = warn("topics", f"{len(faults) - MOST_NAMED} more findings of topics", "mend these first")
        faults = [*sorted(faults, key=lambda one: one.status is not Status.FAIL)[:MOST_NAMED], more]
    return faults


def unknown_topics(error: Exception) -> Finding:
    """Say that topics could not be asked for."""
    return fail("topics", f"cannot be asked for: {type(error).__name__}", MEND_BROKER)


def judged_topic(
    wanted: Wanted, copies: int, in_sync: int, found: Mapping[str, str], given: KafkaSettings
) -> list[Finding]:
    """Judge one topic: `copies` and `in_sync` of its worst partition, `found` its settings."""
    name, least = wanted.name, int(found.get("min.insync.replicas", "1"))
    out: list[Finding] = []
    if in_sync < least:
        text = f"{name}: {in_sync} replica(s) in sync, {least} are wanted: nothing can be written"
        out.append(fail("topics", text, "bring its brokers back"))
    elif copies < given.replication_factor:
        text = f"{name}: {copies} replica(s), HOOKBERG_REPLICATION_FACTOR is {given.replication_factor}"
        out.append(warn("topics", text, "kafka-reassign-partitions.sh adds replicas"))
    for setting, shall in layout.config(wanted, given).items():
        has = found.get(setting, "")
        if has == shall or (setting in _AT_LEAST and has.isdigit() and int(has) >= int(shall)):
            continue
        mend = f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config {setting}={shall}"
        judge = fail if setting in _FATAL else warn
        out.append(judge("topics", f"{name}: {setting} is {has or 'not set'}, it shall be {shall}", mend))
    return out


def wanted_topics(snapshot: Snapshot, given: KafkaSettings) -> list[Wanted]:
    """Return the topics that the registry knows, as they shall be."""
    found = {one.name: one for one in layout.of_cluster() if one.name == OWNERSHIP}
    for tenant in snapshot.tenants:
        own = layout.of_tenant(tenant, given.topic_partitions)
        found |= {one.name: one for one in own if one.name in snapshot.topics}
    for source in snapshot.sources.values():
        made = layout.of_source(source.tenant, source.definition, source.partitions)
        found |= {one.name: _longer(one, found.get(one.name)) for one in made}
    for topic in snapshot.topics.values():
        if topic.kind == Kind.RUN.value and topic.name not in found:
            found[topic.name] = layout.of_target(topic.tenant, topic.name.rpartition(".")[2], topic.partitions)
    return [found[name] for name in sorted(found)]


def _longer(one: Wanted, other: Wanted | None) -> Wanted:
    """Return what keeps longer: sources that share a topic may say different retentions."""
    return one if other is None or (one.retention_days or 0) >= (other.retention_days or 0) else other


def _admin(given: KafkaSettings) -> AdminClient:
    return AdminClient({**client_config(given), "socket.timeout.ms": int(ASK_S * _MS)})
