"""Nothing in schemas/vendors without its proof: samples, handshake rows, vectors of both kinds, set-up steps, limits.

What a vendor costs is bounded too: one file, one line in the registry, one folder here.
"""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from schemas.names import platform
from schemas.vendors import VENDORS
from schemas.vendors.base import DAY_S, MIB, Vendor
from tests.contract.vendors.cases import of
from tests.contract.vendors.roster import SENDERS
from tests.contract.vendors.table import README, table

HERE = Path(__file__).parent
CODE = HERE.parents[2] / "schemas/vendors"
SHARED = {"__init__.py", "base.py", "read.py", "shapes.py"}
MAX_LINES = 120
WANTED = (
    "slack", "teams", "teams-outgoing", "msgraph", "github", "stripe", "jira", "bitbucket", "segment", "openmetadata",
    "zendesk", "shopify", "twilio", "sendgrid", "standardwebhooks", "svix", "gitlab", "pagerduty", "hubspot",
    "intercom", "linear", "square", "paddle", "adyen", "adyen-platform", "cloudevents", "eventgrid", "discord", "meta",
    "whatsapp",
)  # fmt: skip
FILES = sorted(path for path in CODE.glob("*.py") if path.name not in SHARED)
each_vendor = pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)


def test_every_preset_name_is_there() -> None:
    assert set(WANTED) | {"generic"} == set(VENDORS)


@each_vendor
def test_a_vendor_has_samples_and_handshake_rows(vendor: Vendor) -> None:
    samples = json.loads((HERE / vendor.name / "deliveries.json").read_text("utf-8"))
    rows = json.loads((HERE / vendor.name / "handshakes.json").read_text("utf-8"))
    assert any(sample["items"] for sample in samples)
    assert rows
    answered = {row["method"] for row in rows if row["answer"] and row["answer"]["status"] < 400}
    assert answered == {method for handshake in vendor.handshakes for method in handshake.methods}


def test_a_folder_belongs_to_a_vendor() -> None:
    others = {"__pycache__", "oracles"}
    assert {path.name for path in HERE.iterdir() if path.is_dir()} - others == set(VENDORS)


@each_vendor
def test_every_scheme_has_vectors_of_both_kinds(vendor: Vendor) -> None:
    counts: Counter[tuple[str, bool]] = Counter()
    for sender in SENDERS:
        if sender.vendor == vendor.name:
            counts.update((sender.scheme, isinstance(case.expect, int)) for case in of(sender))
    for scheme in vendor.schemes:
        assert counts[scheme.name, True] >= 3, scheme.name
        assert counts[scheme.name, False] >= 7, scheme.name


def test_no_sender_without_a_scheme() -> None:
    known = {(vendor.name, scheme.name) for vendor in VENDORS.values() for scheme in vendor.schemes}
    assert {(sender.vendor, sender.scheme) for sender in SENDERS} == known


@each_vendor
def test_a_person_can_follow_the_set_up(vendor: Vendor) -> None:
    assert 2 <= len(vendor.setup) <= 6
    said = " ".join(vendor.setup)
    assert "URL" in said or "url" in said
    assert not vendor.schemes or "source" in said
    assert vendor.docs.startswith("https://")
    assert all(step[0].isupper() or step[0] in "abcdefghijklmnopqrstuvwxyz" for step in vendor.setup)


@each_vendor
def test_limits_are_sane(vendor: Vendor) -> None:
    platform(vendor.name)
    assert 1 <= vendor.deadline_s <= 30
    assert 0 <= vendor.retry_span_s <= 30 * DAY_S
    assert MIB <= vendor.body_limit <= 32 * MIB
    assert 200 <= vendor.success.status <= 204
    assert vendor.refusal_status in {400, 401, 403, 404}


@each_vendor
def test_how_a_sender_proves_itself_is_said_once(vendor: Vendor) -> None:
    assert bool(vendor.schemes) + (vendor.jwt is not None) + (vendor.name == "generic") == 1
    assert len({scheme.name for scheme in vendor.schemes}) == len(vendor.schemes)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_vendor_is_one_value_in_one_small_file(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MAX_LINES
    tree = ast.parse(text)
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Vendor"]
    assert len(made) == 1
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    inside = {name for name in imported if name and name.startswith("schemas.vendors.")}
    assert inside <= {"schemas.vendors.base"}, "vendors know nothing of each other"


def test_every_file_is_registered() -> None:
    names = {vendor.name.replace("-", "_") for vendor in VENDORS.values()}
    assert {path.stem for path in FILES} <= names


def test_the_readmes_table_is_the_registry() -> None:
    assert table() in README.read_text("utf-8"), "run python -m tests.contract.vendors.table"
