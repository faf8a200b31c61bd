"""Whether everything that was accepted for a tenant has its outcome, and everything with a row is in its table.

Lives here: the question. A table is drained when no record that it selects lies between its offsets and the end of its
topics; ends alone prove nothing, for transactions leave markers there. Blocks on Kafka and the catalog.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

from schemas import topics
from schemas.definitions.view import Snapshot
from sinks.fleet import EVENTS, wanted
from sinks.jobs.tenants.world import World
from sinks.rows import system
from sinks.source import Expired, Source, Topic, describe, options
from sinks.spec import Spec
from sinks.split.known import members_of
from sinks.split.plan import Plan
from sinks.table import state

_QUEUE_KIB = 1024
_POLLS, _POLL_S = 20, 0.5
Place = tuple[str, int]
Selects = Callable[[str], bool]
"""Whether a table takes events of a type."""


def undecided(world: World, tenant: str) -> list[str]:
    """Return what the stage has yet to decide, a text a topic; empty = nothing."""
    raw = [
        topic
        for topic in world.view.current().topics.values()
        if topic.tenant == tenant and topic.kind == topics.Kind.WEBHOOK
    ]
    behind: dict[str, int] = {}
    for (name, _), records in world.lags.waiting(raw).items():
        behind[name] = behind.get(name, 0) + records
    return [f"{records} records of {name} wait for the stage" for name, records in sorted(behind.items()) if records]


def unwritten(world: World, tenant: str) -> list[str]:
    """Return which running tables do not hold everything yet, a text a table; empty = none."""
    return [
        f"table {'.'.join(spec.identifier)} does not hold everything yet{_why(world, spec)}"
        for whole in of_tenant(world.view.current(), tenant)
        for spec, selects in tables_of(world, whole)
        if behind(world, spec, selects)
    ]


def tables_of(world: World, spec: Spec) -> list[tuple[Spec, Selects]]:
    """Return a stream's tables, each with what it selects: more than one where the stream is split (sinks/split).

    The own one is asked for types that have no table yet: it does not move past them before they have.
    """
    plan = spec.split
    if plan is None:
        return [(spec, partial(_selected, spec.event_types))]
    members = members_of(world.catalog, spec.identifier, spec.id)
    known = {one.event_type for one in members}
    own = [(spec, lambda kind: kind not in known and plan.selects(kind))]
    return own + [
        (replace(spec, identifier=(spec.identifier[0], one.table)), partial(_only, plan, one.event_type))
        for one in members
    ]


def _selected(globs: Sequence[str], kind: str) -> bool:
    return not globs or any(fnmatchcase(kind, glob) for glob in globs)


def _only(plan: Plan, event_type: str, kind: str) -> bool:
    return kind == event_type and plan.selects(kind)


def of_tenant(snapshot: Snapshot, tenant: str) -> list[Spec]:
    """Return the tenant's tables that are written now: running streams, quarantine and ledger."""
    return [
        spec
        for spec in wanted(snapshot)
        if any((named := topics.parse(topic)) and named.tenant == tenant for topic in spec.topics)
    ]


def behind(world: World, spec: Spec, selects: Selects) -> bool:
    """Tell whether a record that the table selects is not in it yet."""
    found = describe(world.admin, spec.topics)
    held = _held(world, spec)
    at = {
        (name, number): held.get(topic.id, {}).get(str(number), 0)
        for name, topic in found.items()
        for number in range(topic.partitions)
    }
    ends = world.topics.offsets(at, "latest")
    ahead = [place for place, end in ends.items() if end > at[place]]
    starts = world.topics.offsets(ahead, "earliest")
    from_ = {place: max(at[place], starts[place]) for place in ahead if ends[place] > max(at[place], starts[place])}
    return bool(from_) and _selects(world, spec, found, from_, selects)


def _held(world: World, spec: Spec) -> state.Offsets:
    try:
        table = world.catalog.load_table(spec.identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        return {}
    return state.offsets(table.metadata, spec.id)


def _selects(world: World, spec: Spec, found: Mapping[str, Topic], at: Mapping[Place, int], selects: Selects) -> bool:
    """Read on from the table's offsets until a record is met that it selects, or the end of every partition."""
    source = Source(options(world.kafka, _QUEUE_KIB), world.admin, spec.topics)
    try:
        source.assign(found, at)
        for _poll in range(_POLLS):
            records, _size = source.poll(_POLL_S)
            if records and (spec.kind != EVENTS or any(map(selects, system.kinds(records)))):
                return True
            if source.at_end.issuperset(at):
                return False
    except Expired:  # what expired meanwhile is not waited for
        return True
    finally:
        source.close()
    return True


def _why(world: World, spec: Spec) -> str:
    if spec.kind != EVENTS or (told := world.registry.states.get(spec.id)) is None or told.reason is None:
        return ""
    return f": its stream has failed ({told.reason}); start it again, stop it, or delete with force"
