"""The private names of faust, mode and aiokafka that the engine stands on, as streams/engine/README.md lists them.

A test that fails here says: read that README before moving the pinned version.
"""

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiokafka
import faust.streams
import pytest
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.group_coordinator import BaseCoordinator, GroupCoordinator
from aiokafka.protocol.group import LeaveGroupRequest
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from mode import Service

import streams.engine


def plain(name: Any) -> Any:
    """Return the function behind a mode task."""
    return getattr(name, "fun", name)


SIGNATURES: dict[Any, str] = {
    consumer.Consumer._drain_messages: "(self, fetcher",
    consumer.Consumer._wait_next_records: "(self, timeout",
    consumer.ThreadDelegateConsumer._getmany: "(self, active_partitions: Optional[Set[faust.types.tuples.TP]], timeout",
    Fetcher.fetched_records: "(self, partitions, timeout",
    FetchResult.getall: "(self, max_records",
    FetchResult.has_more: "(self)",
    consumer.Consumer._filter_tps_with_pending_acks: "(self, topics",
    consumer.Consumer._new_offset: "(self, tp",
    consumer.Consumer.perform_seek: "(self)",
    consumer.Consumer.resume_partitions: "(self, tps",
    consumer.Consumer.pause_partitions: "(self, tps",
    consumer.Consumer.on_partitions_revoked: "(self, revoked",
    consumer.ThreadDelegateConsumer.seek_wait: "(self, partitions",
    consumer.ThreadDelegateConsumer.earliest_offsets: "(self, *partitions",
    consumer.ThreadDelegateConsumer.highwaters: "(self, *partitions",
    consumer.ThreadDelegateConsumer.seek_to_committed: "(self)",
    consumer.ThreadDelegateConsumer.assignment: "(self)",
    consumer.ThreadDelegateConsumer.highwater: "(self, tp",
    consumer.Consumer.stop_flow: "(self)",
    consumer.ConsumerThread.call_thread: "(self, fun",
    driver.AIOKafkaConsumerThread._ensure_consumer: "(self)",
    Conductor._update_indices: "(self)",
    driver.Consumer._new_consumer_thread: "(self)",
    driver.AIOKafkaConsumerThread._create_worker_consumer: "(self, transport",
    Conductor._flag_changes: "(self)",
    Conductor._subscriber: "(self)",
    Recovery._resume_streams: "(self, generation_id",
    aiokafka.AIOKafkaConsumer.offsets_for_times: "(self, timestamps",
    aiokafka.AIOKafkaConsumer.seek: "(self, partition, offset",
    aiokafka.AIOKafkaConsumer.assignment: "(self)",
    App.service: "(self, cls",
    App.timer: "(self, interval",
    Service.on_start: "(self)",
    Service.on_stop: "(self)",
    Service.sleep: "(self, n",
    GroupCoordinator.check_errors: "(self)",
    AIOKafkaClient.coordinator_lookup: "(self, coordinator_type, coordinator_key",
    AIOKafkaClient.send: "(self, node_id, request",
    LeaveGroupRequest.__init__: "(self, group",
}


@pytest.mark.parametrize("name", list(SIGNATURES), ids=lambda name: plain(name).__qualname__)
def test_a_private_name_is_called_as_we_call_it(name: Any) -> None:
    assert str(inspect.signature(plain(name))).startswith(SIGNATURES[name])


def test_the_other_names_are_there() -> None:
    assert Conductor._resubscribe_sleep_lock_seconds == 45.0
    assert hasattr(GroupCoordinator, "check_errors") or hasattr(BaseCoordinator, "check_errors")
    assert CoordinationType.GROUP == 0
    assert "_client" in inspect.getsource(aiokafka.AIOKafkaConsumer.__init__)
    assert "_coordinator" in inspect.getsource(aiokafka.AIOKafkaConsumer)
    assert "consumer_generation_id" in inspect.getsource(driver.ConsumerRebalanceListener)
    assert "_crashed" in inspect.getsource(Service)
    made = inspect.getsource(TableManager.on_start)  # what app.py does without the wait
    assert made.count("await ") == 3
    assert "await self._update_channels()" in made
    assert "await self.recovery.start()" in made
    assert "self.wait(self.can_resume_flow)" in inspect.getsource(consumer.Consumer._wait_next_records)
    assert hasattr(App, "_stop_consumer")
    assert "self._conns[conn_id]" in inspect.getsource(AIOKafkaClient._get_conn)
    assert "conn_id = (node_id, group)" in inspect.getsource(AIOKafkaClient._get_conn)
    assert ConnectionGroup.DEFAULT == 0
    taking = inspect.getsource(Fetcher.fetched_records)  # what thread.py does in its place
    assert all(
        f"self.{name}" in taking for name in ("_records", "_subscriptions", "_notify(self._wait_consume_future)")
    )
    assert "self._max_partition_fetch_bytes)" in inspect.getsource(Fetcher._get_actions_per_node)
    assert "backoff = record.calculate_backoff()" in inspect.getsource(Fetcher._get_actions_per_node)
    assert "if self.consumer.in_transaction:" in inspect.getsource(
        driver.AIOKafkaConsumerThread._create_worker_consumer
    )
    assert "_current_event.get(None)" in inspect.getsource(faust.streams.current_event)
    assert "self._read_offset" in inspect.getsource(consumer.Consumer._drain_messages)
    assert "for topic in channel.topics" in inspect.getsource(Conductor._update_indices)
    assert "_last_successful_refresh_ms" in inspect.getsource(aiokafka.cluster.ClusterMetadata.update_metadata)
    assert "leader_for_partition" in inspect.getsource(aiokafka.consumer.fetcher.Fetcher._get_actions_per_node)


def test_the_pinned_versions_are_the_ones_that_were_read() -> None:
    found = {name: version(name) for name in ("faust-streaming", "mode-streaming", "aiokafka")}
    assert found == {"faust-streaming": "0.15.3", "mode-streaming": "0.7.1", "aiokafka": "0.14.0"}


def test_the_readme_names_each_of_them() -> None:
    folder = Path(streams.engine.__file__).parent
    text = (folder / "README.md").read_text("utf-8")
    names = {plain(name).__name__ for name in SIGNATURES} - {"__init__", "send"}
    assert sorted(name for name in names if f"`{name}`" not in text) == []
