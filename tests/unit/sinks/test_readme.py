"""The README's table from rule to test names tests that exist."""

import ast
import re
from pathlib import Path

from sinks.read.deliveries import budget, reader
from sinks.upkeep import compact, keeper, retain

REPOSITORY = Path(__file__).parents[3]


def known_tests(*folders: str) -> set[str]:
    """Return the names of the tests of this room in these parts of tests/."""
    return {
        node.name
        for folder in folders
        for path in (REPOSITORY / "tests" / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_test_that_the_readme_names_exists() -> None:
    text = (REPOSITORY / "sinks/README.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 30
    assert named - known_tests("unit/sinks", "integration/sinks", "integration/lake") == set()
    assert {rule for rule in range(17, 22) if f"| {rule} " in text} == set(range(17, 22))


def test_the_readme_of_deliveries_names_tests_and_files_that_exist() -> None:
    folder = REPOSITORY / "sinks/read/deliveries"
    text = (folder / "README.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 10
    assert named - known_tests("unit/sinks", "integration/sinks", "property/sinks", "system") == set()
    assert {path.name for path in folder.glob("*.py")} - set(re.findall(r"`(\w+\.py)`", text)) == {"__init__.py"}
    told = (
        f"{budget.MAX_RECORDS:,}, {budget.MAX_BYTES >> 20} MiB, {budget.MAX_S:g} s",
        f"{reader.AT_ONCE} lookups at once",
    )
    assert [one for one in told if one not in text] == []


def test_the_readme_of_upkeep_names_tests_and_files_that_exist() -> None:
    folder = REPOSITORY / "sinks/upkeep"
    text = (folder / "README.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 10
    assert named - known_tests("unit/sinks", "integration/lake", "system") == set()
    assert {path.name for path in folder.glob("*.py")} - set(re.findall(r"`(\w+\.py)`", text)) == {"__init__.py"}
    assert f"{compact.MIN_INPUTS} files at least (`MIN_INPUTS`), {compact.MOST_INPUTS} at most" in text
    assert f"{compact.TARGET_BYTES >> 20} MiB of files" in text
    assert f"{compact.ROUND_BYTES >> 20} MiB of rows" in text
    assert f"{keeper.ROUNDS} rounds a look" in text
    assert f"at most {retain.MOST_FILES:,} files (`MOST_FILES`)" in text
