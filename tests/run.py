"""The whole suite in its parts, in order, with the seconds of each: what `make test` runs.

Parts run one after another, the files of a part beside each other. A part that fails does not hide the next.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent


def slow_first(*places: str) -> tuple[str, ...]:
    """Return the test files under `places`, in that order: a worker that meets the longest last ends last."""
    found: dict[str, None] = {}
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("test_*.py")):
            found[str(file.relative_to(ROOT))] = None
    return tuple(found)


FILES = ("--dist", "loadfile", "--no-loadscope-reorder")
"""A file's tests share their servers; files begin in the order in which they are named."""
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "without a broker",
        ("-n", "2", "tests/simulation", "tests/unit", "tests/contract", "tests/property", "tests/test_tidy.py",
         "tests/test_packaging.py"),
    ),
    (
        "integration",  # its tests wait more than they compute
        ("-n", "3", *FILES, *slow_first("tests/integration/streams", "tests/integration/edge",
                                        "tests/integration/sinks", "tests/integration")),
    ),
    (
        "system",
        ("-n", "2", *FILES, *slow_first("tests/system/test_schemathesis.py", "tests/test_docs.py",
                                        "tests/system/test_octokit.py", "tests/system/test_tenant_end.py",
                                        "tests/system/test_redrive.py", "tests/system/test_pause.py",
                                        "tests/system")),
    ),
    ("faults", ("-n", "2", *FILES, *slow_first("tests/faults/test_faults.py", "tests/faults"))),
)  # fmt: skip


def main() -> int:
    """Run every part; return 1 if one failed."""
    fetched = subprocess.run([sys.executable, "-m", "tests.fixtures"], cwd=ROOT, check=False)
    results = []
    for name, arguments in PARTS:
        print(f"\n== {name}", flush=True)
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "--durations=6", *arguments],
            cwd=ROOT,
            env={**os.environ, "HYPOTHESIS_PROFILE": "ci"},
            check=False,
        )
        results.append((name, done.returncode, time.monotonic() - started))
    table = Table("part", "result", "seconds")
    for name, code, seconds in results:
        table.add_row(name, "passed" if code == 0 else f"FAILED (exit {code})", f"{seconds:.0f}")
    Console(width=100).print(table)
    return int(fetched.returncode != 0 or any(code for _, code, _ in results))


if __name__ == "__main__":
    sys.exit(main())
