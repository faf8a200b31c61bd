"""What the distribution is made of: its import names are ours alone, its locks hold hashes and no addresses."""

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parent.parent
ROOMS = {"ingress", "streams", "sinks", "schemas", "deploy"}
_PIN = re.compile(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;\\]+)(?: ; ([^\\]+))?", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Return {distribution: version} of a lock, for the interpreter and system that run this."""
    found = _PIN.findall((ROOT / name).read_text("utf-8"))
    return {dist: version for dist, version, marker in found if not marker or Marker(marker.strip()).evaluate()}


def test_no_other_distribution_owns_our_import_names() -> None:
    owners = importlib.metadata.packages_distributions()
    assert {room: set(owners.get(room, ["hookberg"])) for room in ROOMS} == {room: {"hookberg"} for room in ROOMS}


def test_the_wheel_holds_the_rooms_and_their_data(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(tmp_path),
            str(ROOT),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("hookberg-*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in files if ".dist-info/" not in name} == ROOMS
    assert {f"{room}/py.typed" for room in ROOMS} <= files
    assert {
        "schemas/wire/avro/ledger.v1.avsc",
        "schemas/definitions/webhook.schema.json",
        "deploy/local/kafka/pom.xml",
    } <= files


def test_locks_hold_hashes_and_no_addresses() -> None:
    for path in [*ROOT.glob("*.lock"), *ROOT.glob("tests/**/*.lock"), *ROOT.glob("deploy/**/*.lock")]:
        text = path.read_text("utf-8")
        assert "://" not in text, path
        for block in re.split(r"\n(?=[a-z])", text.strip()):
            assert "sha256:" in block, f"{path}: {block.splitlines()[0]}"


def test_the_test_tools_leave_the_runtime_as_it_is() -> None:
    runtime, tests = pins("requirements.lock"), pins("tests/requirements.lock")
    assert {name: tests.get(name) for name in runtime} == runtime


def test_what_is_installed_is_what_is_locked() -> None:
    locked = pins("tests/requirements.lock")
    installed = {
        re.sub(r"[-_.]+", "-", dist.metadata["Name"]).lower(): dist.version
        for dist in importlib.metadata.distributions()
    }
    assert {name: installed[name] for name in locked if name in installed} == {
        name: version for name, version in locked.items() if name in installed
    }
