"""What the writers' tests stand on: topics on the real broker, events, a catalog, a registry view in memory.

Lives here: set-up. May not live here: assertions.
"""

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import admin as kafka_admin
from pyiceberg.catalog import Catalog

from schemas import topics
from schemas.backing.lake import open_catalog
from schemas.definitions.stream import State, StreamDefinition
from schemas.definitions.view import EMPTY, Snapshot, StreamView, TopicView
from schemas.metrics import Metrics
from schemas.settings.processes import LakeSettings, SinksSettings
from schemas.wire import event
from schemas.wire.position import Position
from sinks import app
from sinks.status import StreamState
from tests.house.polling import wait_until

NEW_TOPIC: Any = kafka_admin.NewTopic  # type: ignore[attr-defined]  # its stub does not export it


class RealClock:
    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class MemoryView:
    """A registry view whose snapshot the test sets."""

    def __init__(self) -> None:
        self.snapshot = replace(EMPTY, revision=0)

    def current(self) -> Snapshot:
        return self.snapshot

    async def refresh(self) -> Snapshot:
        return self.snapshot


class MemoryStates:
    def __init__(self) -> None:
        self.by_id: dict[str, StreamState] = {}

    def put(self, many: Sequence[StreamState]) -> None:
        for one in many:
            self.by_id[one.stream_id] = one

    def many(self, stream_ids: Collection[str]) -> dict[str, StreamState]:
        return {one: self.by_id[one] for one in stream_ids if one in self.by_id}


def wire_event(n: int, payload: bytes, *, tenant: str = "acme", kind: str = "push", at_ms: int | None = None) -> bytes:
    moment = time.time() if at_ms is None else at_ms / 1000
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment * 1000) % 1000:03d}Z"
    return event.encode(
        event.Event(
            event_id=str(uuid.UUID(int=n)),
            tenant_id=tenant,
            platform="shop",
            event_type=kind,
            event_time=stamp,
            event_time_source="payload",
            received_at=stamp,
            source="shop",
            source_kind="webhook.shop",
            source_identifier=str(n),
            vendor_event_id=f"v{n}",
            correlation_id=None,
            delivery_id=str(uuid.UUID(int=n + (1 << 100))),
            schema=None,
            auth_coverage="full",
            position=Position("RAWTOPICIDRAWTOPICID01", 0, n, 0),
            envelope=None,
            payload=payload,
        )
    )


class World:
    """One test's tenant, topics, catalog and writers."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.kafka = {"bootstrap.servers": bootstrap}
        self.tenant = "t" + uuid.uuid4().hex[:10]
        self.folder = folder
        self.admin = kafka_admin.AdminClient({**self.kafka})
        self.view, self.states = MemoryView(), MemoryStates()
        self.view.snapshot = replace(self.view.snapshot, tenants=frozenset({self.tenant}))
        self.producer: Producer | None = None
        self.topic = topics.event(self.tenant, "shop")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self.make_topic(topics.OWNERSHIP, 8)

    @property
    def lake(self) -> LakeSettings:
        return LakeSettings(
            catalog_uri=f"sqlite:///{self.folder}/catalog.db",
            catalog_warehouse=f"file://{self.folder}/warehouse",
        )

    def catalog(self) -> Catalog:
        return open_catalog(self.lake)

    def make_topic(self, name: str, partitions: int = 2, **config: str) -> None:
        try:
            self.admin.create_topics([NEW_TOPIC(name, partitions, 1, config=config)])[name].result(10)
        except KafkaException as error:  # the ownership topic is every test's: another worker was faster
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def stream(self, name: str = "orders", **fields: Any) -> StreamView:
        body = {"name": name, "topics": [self.topic], "targetTable": name.replace("-", "_"), "freshnessSeconds": 0.2}
        view = StreamView(
            id=str(uuid.uuid4()),
            tenant=self.tenant,
            name=name,
            version=1,
            definition=StreamDefinition.model_validate({**body, **fields}),
            desired="running",
            generation=1,
            accept_loss=False,
            frozen=False,
        )
        self.put(view)
        return view

    def put(self, stream: StreamView) -> None:
        snapshot = self.view.snapshot
        self.view.snapshot = replace(
            snapshot, revision=snapshot.revision + 1, streams={**snapshot.streams, stream.id: stream}
        )

    def own_topic(self, kind: topics.Kind, name: str) -> None:
        self.make_topic(name)
        snapshot = self.view.snapshot
        topic = TopicView(name, "", self.tenant, kind, "shop", 2, "", paused=False)
        self.view.snapshot = replace(snapshot, topics={**snapshot.topics, name: topic})

    def produce(self, values: Sequence[bytes | None], topic: str | None = None, *, commit: bool = True) -> None:
        """Send values in one transaction, round robin over two partitions."""
        if self.producer is None:
            self.producer = Producer({**self.kafka, "transactional.id": f"{self.tenant}-writer"})
            self.producer.init_transactions(20)
        self.producer.begin_transaction()
        for n, value in enumerate(values):
            self.producer.produce(topic or self.topic, value, partition=n % 2)
            if n % 1000 == 0:
                self.producer.poll(0)
        if commit:
            self.producer.commit_transaction(30)
        else:
            self.producer.flush(10)
            self.producer.abort_transaction(30)

    def events(self, payloads: Sequence[Any], first: int = 0) -> None:
        """Produce one clean event a payload: bytes as they are, anything else as JSON."""
        self.produce(
            [
                wire_event(
                    first + n, body if isinstance(body, bytes) else json.dumps(body).encode(), tenant=self.tenant
                )
                for n, body in enumerate(payloads)
            ]
        )

    def start(self, catalog: Catalog | None = None) -> None:
        """Run the writers in a thread with a loop of its own."""
        settings = SinksSettings(
            kafka_bootstrap_servers=self.kafka["bootstrap.servers"],
            registry_url="sqlite://",
            sinks_health_port=0,
            owner_session_timeout_s=6,
            **self.lake.model_dump(),
        )
        ready = threading.Event()

        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            ready.set()
            await app.run(
                settings,
                kafka=self.kafka,
                view=self.view,
                states=self.states,
                jobs=None,
                catalog=catalog or self.catalog(),
                clock=RealClock(),
                metrics=Metrics(),
                group=f"sinks-{self.tenant}",
            )

        def thread() -> None:
            try:
                asyncio.run(main())
            except asyncio.CancelledError:
                return

        self._thread = threading.Thread(target=thread)
        self._thread.start()
        ready.wait(10)

    def stop(self) -> None:
        """Stop the writers."""
        if self._thread is not None and self._loop is not None and self._task is not None:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(20)
            self._thread = None

    def rows(self, stream: StreamView, least: int = 0) -> list[dict[str, Any]]:
        """Return the table's rows by pyiceberg; [] while there is no table, or its metadata count fewer than `least`.

        Who waits for rows reads none before they are there: that would take the CPU from their writer.
        """
        identifier = (self.tenant, stream.definition.target_table or "")
        catalog = self.catalog()
        try:
            if not catalog.table_exists(identifier):
                return []
            table = catalog.load_table(identifier)
            snapshot = table.current_snapshot()
            told = None if snapshot is None or snapshot.summary is None else snapshot.summary.additional_properties
            if least and (told is None or int(told.get("total-records", least)) < least):
                return []
            return table.scan().to_arrow().to_pylist()  # type: ignore[no-any-return]
        finally:
            catalog.close()

    def unreferenced(self, stream: StreamView) -> set[str]:
        """Return the names of data files, manifests and manifest lists that no snapshot of the table refers to."""
        catalog = self.catalog()
        table, held = catalog.load_table((self.tenant, stream.definition.target_table or "")), set()
        for snapshot in table.metadata.snapshots:
            held.add(Path(snapshot.manifest_list).name)
            for manifest in snapshot.manifests(table.io):
                held.add(Path(manifest.manifest_path).name)
                held |= {Path(e.data_file.file_path).name for e in manifest.fetch_manifest_entry(table.io)}
        catalog.close()
        folder = Path(table.location().removeprefix("file://"))
        return {path.name for path in folder.rglob("*") if path.suffix in {".avro", ".parquet"}} - held

    def wait_rows(self, stream: StreamView, n: int, deadline_s: float = 30) -> list[dict[str, Any]]:
        """Return the rows once there are `n` of them."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = self.rows(stream, n)
            return len(found) >= n

        wait_until(enough, deadline_s, what=f"{n} rows in {stream.name} ({self.states.by_id.get(stream.id)})")
        return found

    def wait_state(self, stream: StreamView, state: State, deadline_s: float = 20) -> StreamState:
        """Return the stream's state once it is `state`."""
        wait_until(
            lambda: (known := self.states.by_id.get(stream.id)) is not None and known.state is state,
            deadline_s,
            what=f"state {state} of {stream.name}",
        )
        return self.states.by_id[stream.id]
