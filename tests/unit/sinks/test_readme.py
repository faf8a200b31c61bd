"""The README's table from rule to test names tests that exist."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def test_every_test_that_the_readme_names_exists() -> None:
    text = (REPOSITORY / "sinks/README.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    found = {
        node.name
        for folder in ("unit", "integration")
        for path in (REPOSITORY / "tests" / folder / "sinks").glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(named) > 30
    assert named - found == set()
    assert {rule for rule in range(17, 22) if f"| {rule} " in text} == set(range(17, 22))
