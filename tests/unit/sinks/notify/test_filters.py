"""Each row of the table of filters in sinks/notify/match/README.md; and that the two have the same rows."""

import re
from pathlib import Path
from typing import Any

import pytest

import sinks
from schemas.definitions.notification import Lane
from schemas.definitions.webhook import WebhookStatus
from schemas.wire.entity_event import EntityEvent, EventType
from sinks.notify.match.filters import wants
from sinks.notify.match.tenant import Matcher
from tests.unit.sinks.notify.make import CREATED_MS, event, webhook

CREATED = EventType.CREATED
SALES = {"domain": {"type": "domain", "name": "Sales"}}


def tagged(*names: str) -> dict[str, Any]:
    return {"tags": [{"tagFQN": name} for name in names]}


def updated(include: list[str] | None = None, exclude: list[str] | None = None, *entities: str) -> dict[str, Any]:
    return {
        "eventType": "entityUpdated",
        "entities": entities or ["*"],
        "include": include or [],
        "exclude": exclude or [],
    }


def created(include: list[str] | None = None, exclude: list[str] | None = None) -> dict[str, Any]:
    return {**updated(include, exclude), "eventType": "entityCreated"}


ROWS: list[tuple[str, list[dict[str, Any]], list[EntityEvent], bool]] = [
    ("`eventType` is equal", [updated()], [event(kind=CREATED)], False),
    (
        '`entities: ["*"]`, and none given',
        [{"eventType": "entityUpdated"}],
        [event(["x"], of="anything"), event(["x"], of="")],
        True,
    ),
    ("`entities` names the type, whatever its case", [updated([], [], "Table")], [event(["x"])], True),
    ("`entities` names other types", [updated([], [], "dashboard")], [event(["x"])], False),
    ("`*` is alone: no globs", [updated([], [], "tab*")], [event(["x"])], False),
    ("empty `include` takes all", [updated()], [event(["description"])], True),
    ('`include: ["*"]` takes all', [updated(["*"])], [event()], True),
    ("`include` names the changed field", [updated(["tags"])], [event(["tags"])], True),
    ("`include` names another field", [updated(["tags"])], [event(["description"])], False),
    ("a field takes what is nested in it", [updated(["a"])], [event(["a.b"])], True),
    ("a nested field takes itself and what is below", [updated(["a.b"])], [event(["a.b"]), event(["a.b.c"])], True),
    (
        "a nested field does not take what is above or beside",
        [updated(["a.b"])],
        [event(["a"]), event(["a.bc"]), event(["b"])],
        False,
    ),
    ("case counts in fields", [updated(["Tags"])], [event(["tags"])], False),
    (
        "several terms: any of them",
        [updated(["tags", "domain:Sales"])],
        [event(["tags"]), event(["description"], SALES)],
        True,
    ),
    ("`domain:Name`", [created(["domain:Sales"])], [event(entity=SALES, kind=CREATED)], True),
    (
        "a domain takes its subdomains",
        [updated(["domain:Sales"])],
        [event(["x"], {"domains": [{"name": "Europe", "fullyQualifiedName": "Sales.Europe"}]})],
        True,
    ),
    ("`tag:X`", [updated(["tag:PII.Sensitive"])], [event(["x"], tagged("Tier.1", "PII.Sensitive"))], True),
    ("a tag takes what it classifies", [updated(["tag:PII"])], [event(["x"], tagged("PII.Sensitive"))], True),
    ("a tag does not take what only begins like it", [updated(["tag:PII"])], [event(["x"], tagged("PIIX"))], False),
    (
        "`owner:X`, by name, full name, display name or id",
        [updated(["owner:jane"])],
        [
            event(["x"], {"owners": [{"name": "bob"}, {member: "jane"}]})
            for member in ("name", "fullyQualifiedName", "displayName", "id")
        ],
        True,
    ),
    (
        "fields of a created or deleted entity",
        [created(["tags"]), {**created(["tags"]), "eventType": "entityDeleted"}],
        [event(["tags"], kind=CREATED), event(["tags"], kind=EventType.DELETED)],
        False,
    ),
    ("an update that tells no fields, include of fields", [updated(["tags"])], [event()], False),
    ("`exclude` wins", [updated(["tags"], ["tags"])], [event(["tags"])], False),
    (
        "only some changed fields are excluded: the rest counts",
        [updated([], ["tags"])],
        [event(["tags", "description"])],
        True,
    ),
    ("the rest has to meet `include`", [updated(["tags"], ["tags.x"])], [event(["tags.x", "name"])], False),
    ("all changed fields are excluded", [updated([], ["tags"])], [event(["tags", "tags.x"])], False),
    ("`exclude` of fields stops updates alone", [created([], ["tags"])], [event(["tags"], kind=CREATED)], True),
    (
        "`exclude` of a domain, tag or owner stops everything",
        [updated([], ["domain:Sales", "tag:PII", "owner:jane"])],
        [event(["x"], SALES), event(["x"], tagged("PII.a")), event(["x"], {"owner": "jane"})],
        False,
    ),
    ('`exclude: ["*"]` stops everything', [created([], ["*"])], [event(kind=CREATED)], False),
    ("a table that advanced: only where `include` names `snapshot`", [updated()], [event(["snapshot"])], False),
    (
        "... which neither `*` nor a domain does",
        [updated(["*", "domain:Sales"])],
        [event(["snapshot"], SALES)],
        False,
    ),
    ("... named", [updated(["snapshot"])], [event(["snapshot"])], True),
    ("... with another field changed too", [updated(["tags"])], [event(["snapshot", "tags"])], True),
    ("an unknown prefix is none: the term is a field's name", [updated(["team:X"])], [event(["team:X"])], True),
    ("several filters: any of them", [created(), updated()], [event(["x"])], True),
]


@pytest.mark.parametrize(("filters", "events", "taken"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_filter_takes(filters: list[dict[str, Any]], events: list[EntityEvent], *, taken: bool) -> None:
    one = webhook(filters=filters)
    for each in events:
        assert wants(one, each) is taken
        assert Matcher([one]).route(each, CREATED_MS).lanes == ((Lane("w"),) if taken else ())


def test_the_readme_has_these_rows() -> None:
    readme = (Path(sinks.__file__).parent / "notify/match/README.md").read_text()
    table = readme.split("| case |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (.*?) \|.*\| (yes|no) \|$", table, re.MULTILINE)
    assert rows == [(name, "yes" if taken else "no") for name, _, _, taken in ROWS]


def test_a_table_alone_is_silent() -> None:
    assert wants(webhook(), event(["snapshot"], of="dashboard"))


def test_a_webhook_made_later_or_disabled_gets_nothing() -> None:
    one = webhook()
    assert Matcher([one]).route(event(["x"]), CREATED_MS - 1).lanes == ()
    off = webhook(enabled=False)
    gone = webhook()
    object.__setattr__(gone, "status", WebhookStatus.DISABLED)  # as a 410 leaves it
    for each in (off, gone):
        assert not wants(each, event(["x"]))
        assert Matcher([each]).route(event(["x"]), CREATED_MS).lanes == ()
        assert Matcher([each]).since_ms is None


def test_no_webhook_is_told_of_itself() -> None:
    ours = event(["status"], of="webhook", entity_id="w")
    assert not wants(webhook(), ours)
    assert Matcher([webhook(), webhook("v")]).route(ours, CREATED_MS).lanes == (Lane("v"),)


def test_other_tenants_events_are_not_wanted() -> None:
    other = webhook()
    object.__setattr__(other, "tenant", "globex")
    assert not wants(other, event(["x"]))


def test_who_wants_snapshots_is_known_with_the_time_of_the_first() -> None:
    wanting = webhook("a", [updated(["snapshot"], [], "table")])
    elsewhere = webhook("b", [updated(["snapshot"], [], "dashboard"), created(["snapshot"])])
    assert Matcher([elsewhere]).snapshots_since_ms is None
    assert Matcher([wanting, elsewhere]).snapshots_since_ms == CREATED_MS


def test_a_name_of_nothing_but_dots_is_read_in_bounded_time() -> None:
    assert wants(webhook(filters=[updated(["x"])]), event(["x" + "." * 100_000]))
