"""`python -m tests.simulation.notify [first] [histories]`: many histories, the first failure ends them."""

import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from tests.simulation.notify.history import history, template
from tests.simulation.notify.rules import check


def main(first: int, histories: int) -> None:
    """Run them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began, ends = time.process_time(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        begin = template(Path(folder))
        for seed in range(first, first + histories):
            try:
                with history(seed, begin) as made:
                    ends.update(made.ends)
                    check(made)
                if (seed - first) % 50 == 49:
                    sys.stdout.write(f"{seed - first + 1} {time.process_time() - began:.1f} s\n")
                    sys.stdout.flush()
            except BaseException:
                sys.stdout.write(f"seed {seed}\n")
                raise
    sys.stdout.write(
        f"{histories} histories in {time.process_time() - began:.1f} s of CPU; processes ended: {dict(ends)}\n"
    )


main(*(int(one) for one in (*sys.argv[1:], "0", "100")[:2]))
