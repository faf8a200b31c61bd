"""`python -m tests.simulation --seed N --histories M`: run histories, tell progress, print a failure."""

import argparse
import gc
import sys
import time

from tests.simulation import run


def main() -> int:
    """Run; 1 when a history broke a rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--histories", type=int, default=1_000, help="how many, one seed each")
    parser.add_argument("--all", action="store_true", help="go on after a failure")
    options = parser.parse_args()
    failures, started = 0, time.monotonic()
    with run.quiet():
        for done, seed in enumerate(range(options.seed, options.seed + options.histories), 1):
            if found := run.find(seed):
                failures += 1
                print(f"{found}\n", flush=True)
                if not options.all:
                    return 1
            if done % 100 == 0:
                gc.collect()
                print(f"{done} histories, {failures} failed, {time.monotonic() - started:.0f} s", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
