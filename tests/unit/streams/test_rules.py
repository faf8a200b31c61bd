"""Every rule of the data path that the stage keeps has directed tests: the table in streams/README.md names them."""

import ast
import re
from pathlib import Path

import streams

README = Path(streams.__file__).parent / "README.md"
TESTS = Path(__file__).resolve().parents[2]
RULES = range(6, 17)
_ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)
_NAME = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def table() -> dict[int, list[tuple[str, str]]]:
    found: dict[int, list[tuple[str, str]]] = {}
    for row in _ROW.finditer(README.read_text("utf-8")):
        found.setdefault(int(row[1]), []).extend(_NAME.findall(row[0]))
    return found


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_rule_has_a_directed_test() -> None:
    named = table()
    assert [rule for rule in RULES if not named.get(rule)] == []


def test_the_tests_that_the_table_names_exist() -> None:
    named = {pair for pairs in table().values() for pair in pairs}
    missing = [pair for pair in sorted(named) if pair[1] not in functions(TESTS / pair[0])]
    assert missing == []
