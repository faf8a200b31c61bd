"""Whether a raw log still is the one that was read: not made anew (rule 19), not cut and written on (rule 9).

Lives here: the question. Not here: what follows from the answer (consumer.py). A log loses its tail with a machine that
loses power, or with its disk. Its end may be past our position again before we look, so ends prove nothing; times do:
partition time is the running maximum of the broker's clock, so what stands before our position and is younger came
later (rule 3). Private names of aiokafka: README.md beside this file.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.client import ConnectionGroup
from faust.types import TP

from streams.engine.table import Stand

if TYPE_CHECKING:
    from streams.engine.consumer import BatchConsumer


END_ASKS = 6
_END_PAUSE_S = 0.5


class Tails:
    """Remembers over which connection each partition was last found to be the log that was read."""

    def __init__(self, consumer: "BatchConsumer") -> None:
        self._consumer = consumer
        self._found: dict[TP, object] = {}
        self._recognised: object = None

    async def made_anew(self, *, again: bool = False) -> list[str]:
        """Return the live topics that are another topic by now: fetches go by name, our positions by id (rule 19).

        Kafka is asked when the client has read its metadata anew, as it must after a topic was gone, and when told
        `again`. Raises KafkaException while Kafka is away.
        """
        app, age = self._consumer.app, self._age()
        if age == self._recognised and not again:
            return []
        live = dict(app.live)
        found = await asyncio.to_thread(app.directory.ids, list(live))
        if len(found) == len(live):  # else one may be just between its end and its beginning
            self._recognised = age
        return [name for name, topic in live.items() if name in found and found[name][0] != topic.topic_id]

    def doubtful(self, tp: TP) -> bool:
        """Tell whether records of `tp` come over another connection: its broker may have lost what it had."""
        return self._found.get(tp) is None or self._found[tp] is not self._connection(tp)

    async def rewritten(self, stands: Mapping[TP, Stand]) -> dict[TP, int]:
        """Return, for each log that was written on from before our position, the offset from which it is new.

        Logs that merely end before our position are the caller's. Raises KafkaError while the leader is away.
        """
        connections = {tp: self._connection(tp) for tp in stands}
        times = {tp: stand.time_ms + 1 for tp, stand in stands.items()}
        found = await self._ask(times) if times else {}
        for tp, connection in connections.items():
            self._found[tp] = connection or self._connection(tp)
        return {tp: told.offset for tp, told in found.items() if told and told.offset < stands[tp].next_offset}

    async def believed_end(self, tp: TP, at: int) -> int:
        """Return where the log ends, asked again and again: a new leader may tell a stale, lower one for a moment.

        `at` is where it is known to have reached.
        """
        end = 0
        for _ in range(END_ASKS):
            end = max(end, int((await self._consumer.highwaters(tp)).get(tp) or 0))
            if end >= at:
                break
            await self._consumer.sleep(_END_PAUSE_S)
        return end

    def trust(self, tps: Collection[TP]) -> None:
        """Take partitions that nothing was read of for what they are."""
        for tp in tps:
            self._found[tp] = self._connection(tp)

    def _age(self) -> object:
        """Return when the client read Kafka's metadata."""
        return self._consumer._thread._ensure_consumer()._client.cluster._last_successful_refresh_ms  # noqa: SLF001 README.md

    async def _ask(self, times: dict[TP, int]) -> Mapping[TP, Any]:
        thread = self._consumer._thread  # noqa: SLF001 README.md
        found: Mapping[TP, Any] = await thread.call_thread(thread._ensure_consumer().offsets_for_times, times)  # noqa: SLF001
        return found

    def _connection(self, tp: TP) -> object:
        """Return the connection to the leader of `tp`, by which fetches come; None while there is none."""
        client = self._consumer._thread._ensure_consumer()._client  # noqa: SLF001 README.md
        return client._conns.get((client.cluster.leader_for_partition(tp), ConnectionGroup.DEFAULT))  # noqa: SLF001
