"""Filters against a second telling of their table, over generated webhooks and events; and that nothing raises."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions.notification import Lane
from schemas.wire.entity_event import EntityEvent, EventType
from sinks.notify.match.filters import wants
from sinks.notify.match.tenant import Matcher
from tests.unit.sinks.notify.make import CREATED_MS, contact, event, webhook

NAMES = st.sampled_from(["a", "a.b", "a.b.c", "ab", "snapshot", "snapshot.rows", ".", "a..b", "x:y"])
TERMS = st.one_of(
    NAMES,
    st.sampled_from(["*", "domain:S", "domain:S.E", "tag:P", "tag:P.q", "owner:o", "owner:p", "team:o", "tag:", "S"]),
)
TYPES = st.sampled_from(list(EventType))
KINDS = st.sampled_from(["table", "Table", "dashboard", "webhook"])
FILTERS = st.lists(
    st.fixed_dictionaries(
        {
            "eventType": TYPES.map(str),
            "entities": st.lists(st.one_of(KINDS, st.just("*")), max_size=2),
            "include": st.lists(TERMS, max_size=3),
            "exclude": st.lists(TERMS, max_size=2),
        }
    ),
    min_size=1,
    max_size=3,
)
WORDS = st.sampled_from(["S", "S.E", "P", "P.q", "o", "p"])
ENTITIES = st.fixed_dictionaries(
    {},
    optional={
        "domain": st.one_of(WORDS, WORDS.map(lambda name: {"name": name})),
        "tags": st.lists(WORDS.map(lambda name: {"tagFQN": name}), max_size=2),
        "owners": st.lists(WORDS.map(lambda name: {"type": "user", "name": name}), max_size=2),
    },
)
EVENTS = st.builds(
    lambda changed, entity, kind, of: event(changed, entity, kind=kind, of=of),
    st.lists(NAMES, max_size=3),
    ENTITIES,
    TYPES,
    KINDS,
)
KEYS = st.sampled_from(["name", "id", "type", "tagFQN", "fullyQualifiedName", "x"])
JSON = st.recursive(
    st.sampled_from([None, True, 7, 0.5, "", "o", "S", "P.q", "."]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
MEMBERS = st.sampled_from(["tags", "domain", "owner", "owners", "followers"])


def under(name: str, term: str) -> bool:
    return name == term or name.startswith(f"{term}.")


def called(given: Any) -> list[str]:
    many = given if isinstance(given, list) else [] if given is None else [given]
    return [each if isinstance(each, str) else each.get("name", each.get("tagFQN")) for each in many]


def meets(term: str, entity: dict[str, Any]) -> bool:
    prefix, _, rest = term.partition(":")
    match prefix, bool(_):
        case "domain", True:
            return any(under(each, rest) for each in called(entity.get("domain")))
        case "tag", True:
            return any(under(each, rest) for each in called(entity.get("tags")))
        case "owner", True:
            return rest in called(entity.get("owners"))
    return False


def of_entity(term: str) -> bool:
    return term.startswith(("domain:", "tag:", "owner:"))


def takes(one: dict[str, Any], told: EntityEvent) -> bool:
    """Tell the table of the README row by row."""
    entity = dict(told.entity)
    if told.event_type.value != one["eventType"]:
        return False
    if "*" not in one["entities"] and told.entity_type.lower() not in [each.lower() for each in one["entities"]]:
        return False
    if "*" in one["exclude"] or any(meets(term, entity) for term in one["exclude"]):
        return False
    changed = list(told.change.names()) if told.event_type is EventType.UPDATED else []
    fields = [term for term in one["exclude"] if not of_entity(term)]
    if told.entity_type.lower() == "table" and "snapshot" not in one["include"]:
        fields.append("snapshot")
    left = [name for name in changed if not any(under(name, term) for term in fields)]
    if changed and not left:
        return False
    if not one["include"] or "*" in one["include"]:
        return True
    return any(
        meets(term, entity) if of_entity(term) else any(under(name, term) for name in left) for term in one["include"]
    )


@given(FILTERS, EVENTS)
def test_filters_do_what_their_table_says(filters: list[dict[str, Any]], told: EntityEvent) -> None:
    one = webhook(filters=filters)
    expected = any(takes(each, told) for each in filters)
    assert wants(one, told) is expected
    assert Matcher([one]).route(told, CREATED_MS).lanes == ((Lane("w"),) if expected else ())


@given(FILTERS, st.lists(NAMES, max_size=3), st.dictionaries(MEMBERS, JSON))
def test_whatever_an_entity_holds_nothing_raises(
    filters: list[dict[str, Any]], changed: list[str], entity: dict[str, Any]
) -> None:
    config = {"endpoint": "https://own.example/", "sendToOwners": True, "sendToFollowers": True, "sendToAdmins": True}
    people = [contact("o", follows=["*"], endpoint="https://o.example/"), contact("p", type="team")]
    found = Matcher([webhook(filters=filters, config=config)], people).route(event(changed, entity), CREATED_MS)
    assert set(found.lanes) <= {Lane("w"), Lane("w", "id-o")}
