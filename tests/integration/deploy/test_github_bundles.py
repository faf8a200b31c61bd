"""GitHub's published bundles as `hookberg schema import` reads them, against GitHub's published examples."""

import fnmatch
import json
from collections import Counter

from deploy.cli import bundles
from schemas.contracts import compile_schema
from tests import fixtures
from tests.system import github


def test_the_bundle_judges_githubs_examples_as_the_package_itself_does() -> None:
    document = json.loads(fixtures.member(fixtures.SCHEMAS, "schema.json").read_bytes())
    entries = bundles.read("github", document)
    contracts = {entry.subject: compile_schema(json.dumps(entry.schema).encode()) for entry in entries}
    pins = {glob: entry.subject for entry in entries for glob in entry.event_types}
    judge, verdicts = github.Judge(), Counter[bool]()
    for each in github.examples():
        globs = [glob for glob in pins if fnmatch.fnmatchcase(each.event_type, glob)]
        assert globs, f"nothing is pinned for {each.event_type}"
        subject = pins.get(each.event_type) or pins[max(globs, key=len)]
        fits = contracts[subject].validate(json.loads(each.body)) is None
        expected = github.pins([each.event_type])
        definition = expected.get(each.event_type) or next(iter(expected.values()))
        assert fits is not bool(judge.faults(definition, each.body)), each.event_type
        verdicts[fits] += 1
    assert verdicts == {True: 277, False: 52}


def test_every_event_of_githubs_openapi_compiles() -> None:
    document = json.loads(fixtures.member(fixtures.OPENAPI, "generated/api.github.com.json").read_bytes())
    entries = bundles.read("openapi", document)
    assert len(entries) > 250
    for entry in entries:
        compile_schema(json.dumps(entry.schema).encode())
    assert {"github.push", "github.pull_request.opened"} <= {entry.subject for entry in entries}
