"""How fast the stage is: `HOOKBERG_TEST_KAFKA=host:port python -m tests.integration.streams.speed [events]`.

Fills a raw topic first, then starts a worker and reads its ledger until every event has its outcome.
"""

import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.streams.stack import Stage


def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(os.environ["HOOKBERG_TEST_KAFKA"], Path(folder), partitions=4)
        source = stage.add("shop")
        draw = random.Random(1)
        filler = "x" * 300
        for number in range(events):
            value = {"id": f"evt_{number}", "type": "order.new", "n": draw.random(), "text": filler}
            while True:
                try:
                    stage.send("shop", source, value, number % 4)
                    break
                except BufferError:
                    stage.flush()
        stage.flush()
        stage.start()
        first = time.monotonic()
        found = stage.ledger_times(events)
        seconds = (found[-1] - found[0]) / 1e6
        assert stage.stop() == 0
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{events} events in {seconds:.2f} s of decided time: {events / seconds:,.0f} events/s; "
            f"worker {used.ru_utime + used.ru_stime:.1f} CPU s, {used.ru_maxrss / 1024:.0f} MB; "
            f"waited {time.monotonic() - first:.1f} s; load {os.getloadavg()[0]:.1f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
