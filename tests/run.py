"""The whole suite in its parts, in order, with the seconds of each: what `make test` runs.

Parts without a broker run on all cores; those with servers one after another. A part that fails does not hide the next.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "unit, contract, property",
        ("-n", "2", "tests/unit", "tests/contract", "tests/property", *("tests/test_tidy.py",)),
    ),
    ("simulation", ("-n", "2", "tests/simulation")),
    ("packaging", ("tests/test_packaging.py",)),
    ("integration", ("-n", "2", "--dist", "loadfile", "tests/integration")),
    ("system", ("-n", "2", "--dist", "loadfile", "tests/system", "tests/test_docs.py")),
    ("faults", ("tests/faults",)),
)
NO_TESTS = 5


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
