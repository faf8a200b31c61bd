"""GitHub's examples, one typed table per `event.action`; all of them: `python -m tests.unit.sinks.split_github`."""

from pathlib import Path

from tests.unit.sinks import split_github


def test_each_action_is_typed_by_its_own_schema_and_every_payload_comes_back(tmp_path: Path) -> None:
    told = split_github.run(tmp_path, {"release", "label"})
    assert (told["wrong"], told["failed"]) == ([], None)
    assert told["tables"] == told["types"] >= 8
    assert told["rows"] == told["sent"] > told["types"]
    assert told["beside"] == {}, "what a schema describes has a column"
