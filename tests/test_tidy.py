"""The house rules that no linter knows: sizes, loose ends, folder READMEs, nothing of one machine."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.run import PARTS

ROOT = Path(__file__).parent.parent
ROOMS = ("schemas", "ingress", "streams", "sinks", "deploy")
MAX_SOURCE_LINES = 300
MAX_TEST_LINES = 500
MAX_FUNCTION_LINES = 70
LOOSE_ENDS = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", "if test" + "ing"))
)
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.])/(work|root)/")
FOLDERS_REFUSED = {"utils", "common", "helpers", "core", "docs"}


def tracked(*patterns: str) -> list[Path]:
    """Return the tracked (and new, not ignored) files of the project."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(ROOT / line for line in listing.stdout.splitlines() if (ROOT / line).is_file())


PYTHON = tracked("*.py")
TEXT = [
    path for path in tracked() if path.suffix in {".py", ".md", ".toml", ".yml", ".xml", ".sh", ".ini", ".json", ""}
]


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    limit = MAX_TEST_LINES if path.is_relative_to(ROOT / "tests") else MAX_SOURCE_LINES
    assert text.count("\n") <= limit, "split it by noun"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{node.name} is too long"


def test_no_loose_ends() -> None:
    found = [f"{path}: {m[0]}" for path in PYTHON for m in LOOSE_ENDS.finditer(path.read_text("utf-8"))]
    assert found == []


def test_nothing_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in TEXT
        for line in path.read_text("utf-8").splitlines()
        if MACHINE_PATH.search(line) and "MACHINE_PATH" not in line
    ]
    assert found == []


def test_every_test_file_is_in_one_part_of_the_suite() -> None:
    places = [ROOT / argument for _, arguments in PARTS for argument in arguments if argument.startswith("tests/")]
    apart = {"compose", "engines"}  # make targets of their own
    files = [path for path in tracked("tests/**/test_*.py", "tests/test_*.py") if not apart & set(path.parts)]
    parts = {path: sum(path.is_relative_to(place) for place in places) for path in files}
    assert {path: count for path, count in parts.items() if count != 1} == {}


def test_every_room_has_a_readme() -> None:
    assert [room for room in ROOMS if not (ROOT / room / "README.md").is_file()] == []


def test_folders_are_named_after_what_they_hold() -> None:
    assert [path for path in PYTHON if FOLDERS_REFUSED & set(path.relative_to(ROOT).parts[:-1])] == []


def test_modules_say_what_they_hold() -> None:
    silent = [
        path
        for path in PYTHON
        if path.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []
