"""What a message costs by form, to render and sign. `python -m tests.benchmarks.notify.formats`."""

import os
import time

from schemas.definitions.webhook import WebhookType
from sinks.notify.formats import render
from tests.unit.sinks.outgoing_events import OLDER, SECRET, event, webhook

ROUNDS, MESSAGES = 5, 400


def cost(kind: WebhookType, batch: int) -> float:
    """Return the least µs an event of several rounds, signed by two secrets."""
    made, events, best = webhook(kind.value, batch, (SECRET, OLDER)), [event()] * batch, float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(MESSAGES // batch):
            render(made, events, message_id="dlv_01", now_s=1, endpoint="https://hooks.example.com/in")
        best = min(best, (time.process_time() - began) / (MESSAGES // batch * batch))
    return best * 1e6


def main() -> None:
    """Print the table."""
    print(f"load {os.getloadavg()[0]:.1f}")
    for kind in WebhookType:
        print(f"{kind.value:12} {cost(kind, 1):7.1f} µs an event alone {cost(kind, 10):7.1f} µs in a batch of ten")


if __name__ == "__main__":
    main()
