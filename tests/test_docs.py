"""What the documents say is so: their commands run as printed, their reference tables are the lists'."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import reference
from tests.house import vendor_tools
from tests.house.stack import UpServer

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
COMMAND_S = 120


def blocks(path: Path) -> list[str]:
    """Return the shell commands of a document that a reader pastes."""
    return _BLOCK.findall(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def beside(up_server: UpServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that looks like the clone in which `make run` was typed."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / ".hookberg").symlink_to(up_server.data_dir)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    vendor_tools.install(folder / "tools")
    return folder


def run(text: str, folder: Path, server: UpServer) -> str:
    """Run shell text there, with the server's real ports in place of the default ones; return what it printed."""
    text = text.replace("http://127.0.0.1:8080", server.url).replace("http://127.0.0.1:8081", server.ingest_url)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKBERG_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**environ, "COLUMNS": "140", "PATH": f"{folder / 'tools'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.system
def test_the_commands_of_the_readme_run_as_printed(beside: Path, up_server: UpServer) -> None:
    assert [run(block, beside, up_server) for block in blocks(README)][-1].count('"state"') == 2


@pytest.mark.system
def test_the_three_commands_that_up_prints_run_as_pasted(beside: Path, up_server: UpServer) -> None:
    printed = up_server.output.read_text("utf-8")
    commands = printed.partition("In another terminal, in this folder:\n")[2].splitlines()[:3]
    assert "new rows of" in run("\n".join(command.strip() for command in commands), beside, up_server)
    assert up_server.admin_key not in printed


@pytest.mark.system
def test_a_webhook_by_hand_is_a_row_once(beside: Path, up_server: UpServer) -> None:
    pushes = "SELECT count(*) AS n FROM default.github_events WHERE event_type = 'push'"
    answer = run(f'.venv/bin/hookberg query "{pushes}"', beside, up_server)
    assert re.search(r"│ 1 ", answer), answer


@pytest.mark.system
def test_events_that_vendors_tools_forward_are_rows(beside: Path, up_server: UpServer) -> None:
    asked = next(block for block in blocks(README) if "stripe trigger" in block).splitlines()[-1]
    assert re.search(r"│ payment_intent.succeeded\s+│ evt_1Nx\s+│\s+2000", run(asked, beside, up_server))
    by_type = "SELECT count(*) AS n FROM default.github_events WHERE event_type = 'issues.opened'"
    assert re.search(r"│ 1 ", run(f'.venv/bin/hookberg query "{by_type}"', beside, up_server))


def test_the_reference_tables_are_those_of_the_lists() -> None:
    text = README.read_text("utf-8")
    assert reference.rewritten(text) == text, "run `make reference`"


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {link}"
        for path in ROOT.rglob("*.md")
        if ".venv" not in path.parts and "node_modules" not in path.parts
        for link in _LINK.findall(path.read_text("utf-8"))
        if not (path.parent / link).exists()
    ]
    assert broken == []
