"""Our faust.App: group membership, consumer thread, timers and services are Faust's; state and commits are ours.

Lives here: the settings given to Faust, and the engine's parts put together. Not here: what agents do (streams/agents).
"""

import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import faust
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.definitions.view import TopicView
from schemas.settings import StreamsSettings
from schemas.tracing import OFF, Tracer
from schemas.wire.raw import RawRecord
from streams.engine.agent import Agent, BatchAgent, Ledger
from streams.engine.conductor import RegistryConductor
from streams.engine.consumer import BatchConsumer
from streams.engine.directory import Directory, LiveTopic
from streams.engine.exits import Die, die
from streams.engine.table import FirstSeenTable, Writes
from streams.engine.transaction import Transactions
from streams.engine.watch import Watch

_FETCH_BYTES = 4 << 20
_GROUP_COMMIT_S = 5.0


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer and conductor."""

    Consumer, Conductor = BatchConsumer, RegistryConductor


class ReadyTables(TableManager):
    """Faust's table manager without the second that it waits for agents to make tables: ours are made before."""

    async def on_start(self) -> None:
        """Begin at once."""
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """A Faust app of one worker group; `start` and `stop` are Faust's and run inside our own event loop."""

    def __init__(
        self,
        group: str,
        settings: StreamsSettings,
        *,
        directory: Directory,
        live: Mapping[str, LiveTopic],
        topics_of: Callable[[], Mapping[str, TopicView]],
        table: FirstSeenTable,
        transactions: Transactions,
        ledger: Ledger,
        busy: Callable[[], bool] = lambda: False,
        end: Die = die,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self.directory, self.live, self.topics_of = directory, dict(live), topics_of
        self.table, self.transactions, self.ledger, self.end = table, transactions, ledger, end
        self.busy, self.stall_s = busy, settings.stage_stall_s
        self._batch_agents: list[BatchAgent] = []
        super().__init__(f"hookberg-{group}", **faust_settings(group, settings))
        self.transport = BatchTransport(self.conf.broker_consumer, self)
        self.service(cast("Any", Watch(self)))

    def batch_agent(self, name: str, runs: Callable[[str], int]) -> Callable[[Agent], BatchAgent]:
        """Make an agent of an async generator over batches; what it yields goes into the open transaction.

        `runs` tells how many run records an event of a tenant makes at most.
        """

        def made(fun: Agent) -> BatchAgent:
            agent = BatchAgent(
                name,
                fun,
                transactions=self.transactions,
                ledger=self.ledger,
                table=self.table,
                runs=runs,
                tracer=self._tracer,
            )
            self._batch_agents.append(agent)
            return agent

        return made

    @property
    def batch_consumer(self) -> BatchConsumer:
        """Return the consumer as ours."""
        return cast("BatchConsumer", self.consumer)

    @property
    def agent_of_topics(self) -> BatchAgent:
        """Return the one agent that raw topics go to."""
        return self._batch_agents[0]

    def reads(self, topic_ids: Collection[str]) -> bool:
        """Tell whether one of these topics is read, or may be: in the registry, subscribed to, or assigned still."""
        known = {topic.topic_id for topic in self.live.values()}
        known |= {topic.topic_id for topic in self.topics_of().values()}
        leaving = any(tp.topic not in self.live for tp in self.batch_consumer.expected)
        return leaving or not known.isdisjoint(topic_ids)

    async def process(self, topic: LiveTopic, partition: int, records: tuple[RawRecord, ...]) -> None:
        """Hand records to the agent; returns when they are decided."""
        await self.agent_of_topics.process(topic, partition, records)

    def committed(self, writes: Writes) -> None:
        """Tell the consumer which offsets a transaction has committed."""
        names = {topic.topic_id: name for name, topic in self.live.items()}
        self.batch_consumer.committed(
            {
                TP(names[topic_id], partition): stand.next_offset
                for (topic_id, partition), stand in writes.stands.items()
                if topic_id in names
            }
        )


def faust_settings(group: str, settings: StreamsSettings) -> dict[str, Any]:
    """Return what Faust is told; reasons in README.md."""
    return {
        "broker": [f"kafka://{host.strip()}" for host in settings.kafka_bootstrap_servers.split(",")],
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": settings.stage_session_timeout_s,
        "broker_heartbeat_interval": min(3.0, settings.stage_session_timeout_s / 4),
        "broker_commit_interval": _GROUP_COMMIT_S,
        "consumer_max_fetch_size": _FETCH_BYTES,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": 30_000,
        "store": "memory://",
        "TableManager": ReadyTables,
        "datadir": str(Path(settings.state_dir) / group / "faust"),
        "web_enabled": False,
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "stream_wait_empty": False,
        "table_standby_replicas": 0,
    }


def _credentials(settings: StreamsSettings) -> Any:  # noqa: ANN401 Faust's credentials are untyped
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return None
    ca = settings.kafka_ssl_ca_file
    context = ssl.create_default_context(cafile=None if ca is None else str(ca)) if protocol.endswith("SSL") else None
    if not protocol.startswith("SASL"):
        return faust.SSLCredentials(context)
    password = settings.kafka_sasl_password
    return faust.SASLCredentials(
        username=settings.kafka_sasl_username,
        password=None if password is None else password.get_secret_value(),
        ssl_context=context,
        mechanism=settings.kafka_sasl_mechanism,
    )
