"""One history: the log, the processes of the stage, the definitions, and what the model knows of it all.

Lives here: what each action does, how a history ends (faults stop, everything catches up), and the reader that looks
again and again. Not here: which actions (actions.py), what must hold (checks.py).
"""

from typing import Any

from schemas import topics
from schemas.definitions.view import Snapshot
from schemas.wire import quarantine as quarantine_wire
from schemas.wire.quarantine import RESOLVED
from streams.engine.recovery import changelog
from tests.fakes.store import Disk
from tests.simulation import definitions, traffic
from tests.simulation.actions import Action, History
from tests.simulation.checks import RawLog, RawRecord, Violation, Walk
from tests.simulation.definitions import PARTITIONS, PLATFORMS, RUN, RUN_PARTITIONS, TENANT, Choice
from tests.simulation.log import Broker, Clock, Entry, Log
from tests.simulation.stage import CHANGELOG_PARTITIONS, GROUP, LEDGER_PARTITIONS, TIMEOUT_S, Parts, Stage
from tests.simulation.traffic import Posted

DAY_S = 86_400.0
MOST_ROUNDS = 400
PAUSE_S = 0.02
"""Between two actions: longer than the reader rests between two fetches."""
PRODUCER = f"hookberg-{GROUP}"
RAW = [(topics.raw(TENANT, platform), number) for platform in PLATFORMS for number in range(PARTITIONS[platform])]
OUTPUTS = ("event", "quarantine")


class World:
    """The state of one history; `say` notes what happened, for people."""

    def __init__(self, history: History, parts: type[Parts] = Parts) -> None:
        self.history, self._parts = history, parts
        self.clock = Clock()
        self.broker = Broker(self.clock)
        self.choices: list[Choice] = [history.first]
        self.stages: list[Stage] = []
        self.disk = Disk()
        self.log: list[str] = []
        self._count = 0
        self.posted: dict[tuple[str, int, int], Posted] = {}
        self.raws: dict[tuple[str, int], RawLog] = {}
        self._looked: dict[tuple[str, int], int] = {}
        self._seen: dict[tuple[str, int], list[Entry]] = {}
        for platform, count in PARTITIONS.items():
            self._create_raw(platform, count)
            self.broker.create(topics.event(TENANT, platform), count)
            self.broker.create(topics.quarantine(TENANT, platform), count)
        self.broker.create(topics.ledger(TENANT), LEDGER_PARTITIONS)
        self.broker.create(RUN, RUN_PARTITIONS)
        self.broker.create(changelog(GROUP), CHANGELOG_PARTITIONS)
        self._start(self.disk)

    def say(self, text: str) -> None:
        """Note something for the printed trace."""
        self.log.append(text)

    def run(self) -> int:
        """Do everything, end well, check; return the number of items. Raises `Violation`."""
        try:
            for action in self.history.actions:
                self.act(action)
            self.heal()
            return self.check()
        finally:
            for stage in self.stages:
                stage.kill("the history is over")

    def act(self, action: Action) -> None:
        """Do one action, then let event loops come to rest."""
        verb, *arguments = action
        self.clock.now += PAUSE_S
        getattr(self, "do_" + verb.replace(" ", "_"))(*arguments)
        self.rest()

    def rest(self) -> None:
        """Let the event loops of all processes come to rest."""
        for stage in self.stages:
            stage.run()
        for stage in [one for one in self.stages if one.dead is not None]:
            self.stages.remove(stage)
            stage.kill("")
            self.say(f"{stage.name} is dead: {stage.dead}")

    def standing(self) -> list[tuple[str, str]]:
        """Return where the threads of processes stand, for people."""
        return [(stage.name, stage.loop.job.at) for stage in self.stages if stage.loop.job is not None]

    def newest(self) -> Snapshot:
        """Return the registry."""
        return definitions.snapshot(self.choices[-1])

    # ---- processes
    def _start(self, disk: Disk) -> None:
        self._count += 1
        name = f"stage-{self._count}"
        self.say(f"{name} starts")
        self.stages.append(Stage(name, self.broker, disk, self.newest, self.history.max_records, self._parts))

    def _stage(self, which: int) -> Stage | None:
        """Return a process: 0 and 1 the newest, 2 the oldest."""
        return None if not self.stages else self.stages[0 if which > 1 else -1]

    def do_start(self, disk: str) -> None:
        if not self.stages:
            if disk == "empty":
                self.disk = Disk()
            self._start(self.disk)

    def do_beside(self, disk: str) -> None:
        """Start a successor while the old process lives on: frozen, or on a host that is cut off."""
        if len(self.stages) == 1:
            self.disk = self.disk.copy() if disk == "copy" else Disk()
            self._start(self.disk)

    def do_crash(self, which: int) -> None:
        if stage := self._stage(which):
            job = stage.loop.job
            stage.kill(f"killed{f' at {job.at!r}' if job is not None else ''}")

    def do_power(self, writes: int) -> None:
        """Kill everything and lose what the disk had not synced."""
        for stage in self.stages:
            stage.kill("power cut")
        self.disk.cut(writes)

    def do_job(self, which: int, steps: int) -> None:
        if stage := self._stage(which):
            stage.go(steps)

    def do_send(self, which: int, most: int) -> None:
        if (stage := self._stage(which)) and stage.producer is not None:
            stage.producer.send(most)

    def do_fetch(self, which: int, number: int, most: int) -> None:
        if (stage := self._stage(which)) and stage.reader is not None:
            stage.reader.fetch(number, most)

    def do_cycle(self, which: int) -> None:
        """Let a process do a whole round: boot, read, commit."""
        if stage := self._stage(which):
            self._round(stage)

    def _round(self, stage: Stage) -> int:
        self.broker.settle(PRODUCER)
        stage.go(1_000)
        self.broker.settle(PRODUCER)
        stage.go(1_000)
        stage.run()
        moved = 0
        for number in range(len(RAW)):
            if stage.dead is None and stage.reader is not None:
                moved += stage.reader.fetch(number, 50)
                self.clock.now += PAUSE_S
                stage.run()
        self.clock.now += 0.3
        stage.run()
        stage.go(1_000)
        stage.run()
        return moved

    def do_answer(self, which: int, fault: str, times: int) -> None:
        if (stage := self._stage(which)) and stage.producer is not None:
            stage.producer.faults += [fault] * times

    def do_rebalance(self, which: int) -> None:
        stage = self._stage(which)
        if stage is not None and stage.reader is not None and stage.reader.tasks:
            stage.loop.create_task(stage.reader.rebalance())

    def do_sweep(self, which: int) -> None:
        stage = self._stage(which)
        if stage is not None and stage.sweep is not None:
            stage.sweep.step()

    def do_stale_ends(self, which: int, times: int) -> None:
        if (stage := self._stage(which)) and stage.reader is not None:
            stage.reader.tell_stale_ends(times)

    # ---- time and definitions
    def do_tick(self, seconds: float) -> None:
        self.clock.now += seconds
        since = self.broker.open_since(PRODUCER)
        if since is not None and self.clock.now - since > TIMEOUT_S + 1:
            self.do_give_up()

    def do_days(self, days: int) -> None:
        self.clock.now += days * DAY_S
        self.do_tick(0)

    def do_skew(self, ms: int) -> None:
        self.clock.skew_ms = ms

    def do_define(self, choice: Choice, seen: bool) -> None:
        self.choices.append(choice)
        for stage in self.stages if seen else ():
            stage.view.now = self.newest()

    def do_see(self, which: int) -> None:
        if stage := self._stage(which):
            stage.view.now = self.newest()

    # ---- the broker
    def do_markers(self, most: int) -> None:
        self.broker.settle(PRODUCER, most)

    def do_give_up(self) -> None:
        if self.broker.give_up(PRODUCER):
            self.say("the coordinator aborts the open transaction")

    def do_compact(self, tombstones: bool) -> None:
        for log in self.broker.topics[changelog(GROUP)].logs:
            log.compact(tombstones=tombstones)

    def _create_raw(self, platform: str, count: int) -> None:
        name = topics.raw(TENANT, platform)
        if old := self.broker.topics.get(name):
            for number in range(count):
                self.raws[old.id, number].alive = False
        topic = self.broker.create(name, count)
        for number in range(count):
            self.raws[topic.id, number] = RawLog()

    def _raw(self, which: int) -> tuple[str, int, Log, RawLog]:
        name, number = RAW[which % len(RAW)]
        topic = self.broker.topics[name]
        return topic.id, number, topic.logs[number], self.raws[topic.id, number]

    def do_expire_raw(self, which: int, count: int) -> None:
        _, _, log, raw = self._raw(which)
        if raw.cut is not None:
            return  # both at once cannot be told apart afterwards
        log.expire(min(log.start + count, log.end))
        raw.expired = log.start

    def do_truncate_raw(self, which: int, count: int) -> None:
        """Lose the tail of a partition after all of it was decided, with the broker that had it; it is written on."""
        topic_id, number, log, raw = self._raw(which)
        if raw.cut is not None or log.end - count < log.start or not self.stages:
            return
        self._catch_up()
        raw.cut = log.end - count
        raw.after = {offset: record for offset, record in raw.records.items() if offset < raw.cut}
        log.truncate(raw.cut)
        raw.end = log.end
        for offset in range(raw.cut, raw.cut + count):
            self.posted.pop((topic_id, number, offset), None)
        self.say(f"{topic_id[:2]}/{number} is cut to {raw.cut}")
        self.clock.skew_ms, self.clock.now = 0, self.clock.now + 6
        for stage in self.stages:
            if stage.reader is not None:
                stage.reader.connections.clear()

    def do_recreate_raw(self) -> None:
        """Make a raw topic anew under its old name, while it may be read: fetches go by name."""
        if any(not raw.alive for raw in self.raws.values()):
            return
        self._create_raw("chat", PARTITIONS["chat"])

    # ---- traffic
    def do_post(self, posting: traffic.Posting) -> None:
        self._count += 1
        self._append(traffic.post(posting, self._count))

    def _append(self, posted: Posted) -> None:
        topic = self.broker.topics[posted.topic]
        entry = topic.logs[posted.partition].append(b"", posted.body, posted.headers)
        raw = self.raws[topic.id, posted.partition]
        record = RawRecord(posted, entry.timestamp_ms)
        (raw.records if raw.cut is None else raw.after)[entry.offset] = record
        raw.end = entry.offset + 1
        self.posted[topic.id, posted.partition, entry.offset] = posted
        self.say(f"{topic.id[:2]}/{posted.partition}/{entry.offset} {posted.text}")

    def do_redrive(self, pick: int, twice: bool) -> None:
        """Redrive one row of the quarantine that nothing has resolved, as the job does (rule 16)."""
        open_rows: dict[Any, Any] = {}
        for platform in PLATFORMS:
            for entry in self._visible(topics.quarantine(TENANT, platform)):
                row = quarantine_wire.decode(entry.value or b"")
                if row.kind == RESOLVED:
                    open_rows.pop(row.position, None)
                else:
                    open_rows[row.position] = row
        if not open_rows:
            return
        position = list(open_rows)[pick % len(open_rows)]
        original = self.posted.get(position[:3])
        row = open_rows[position]
        if original is None or original.meta is None or original.meta.delivery_id != row.delivery_id:
            return
        if self.broker.topics[original.topic].id != position.topic_id:
            return
        made = traffic.redrive(original, row, distinct=row.reason == "id_conflict" or pick % 2 == 1)
        for _ in range(2 if twice else 1):
            if made is not None:
                self._append(made)

    # ---- reading
    def _visible(self, topic: str) -> list[Entry]:
        return [entry for log in self.broker.topics[topic].logs for entry in log.read(0, 1_000_000, committed=True)[0]]

    def do_look(self) -> None:
        """Read all output topics as any consumer does: what was seen once must stay as it was."""
        for name in self._output_topics():
            for number, log in enumerate(self.broker.topics[name].logs):
                where = (name, number)
                entries, self._looked[where] = log.read(self._looked.get(where, 0), 1_000_000, committed=True)
                self._seen.setdefault(where, []).extend(entries)

    def _output_topics(self) -> list[str]:
        made = [f"{TENANT}.{kind}.{platform}" for kind in OUTPUTS for platform in PLATFORMS]
        return [*made, topics.ledger(TENANT)]

    # ---- the end
    def _catch_up(self) -> None:
        """Let the newest process finish what there is; another one is started when it dies."""
        for _ in range(MOST_ROUNDS):
            if not self.stages:
                self._start(self.disk)
            stage = self.stages[-1]
            if stage.producer is not None:
                stage.producer.faults.clear()
            if stage.reader is not None:
                stage.reader.stale_ends = 0
            self._round(stage)
            if stage.renewed:  # the conductor asks every few seconds
                stage.kill("a topic was made anew")
            self.rest()
            if stage.dead is None and stage.done:
                return
        for stage in self.stages:
            self.say(f"{stage.name} stands at {stage.stands}")
        raise Violation("progress", "the stage never comes to rest")

    def heal(self) -> None:
        """End all faults and let everything be decided and committed."""
        self.clock.skew_ms = max(0, self.clock.skew_ms)
        for stage in self.stages[:-1]:
            stage.kill("old, and the history ends")
        self.rest()
        self._catch_up()
        self.broker.settle(PRODUCER)
        self.do_look()

    def check(self) -> int:
        """Check the outputs; return the number of items checked."""
        outputs: dict[str, list[Entry]] = {kind: [] for kind in OUTPUTS}
        for kind in OUTPUTS:
            for platform in PLATFORMS:
                outputs[kind] += self._visible(f"{TENANT}.{kind}.{platform}")
        outputs["ledger"] = self._visible(topics.ledger(TENANT))
        outputs["run"] = self._visible(RUN)
        for (name, number), seen in self._seen.items():
            entries, _ = self.broker.log(name, number).read(0, 1_000_000, committed=True)
            if seen != entries:
                raise Violation("what was seen stays", f"{name}/{number}")
        return Walk(self.raws, self.choices, outputs).run()
