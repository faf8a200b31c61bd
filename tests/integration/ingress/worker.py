"""One worker process of the supervisor's tests: `serve` over fakes on an inherited socket."""

import sys

import uvloop

from deploy.processes import ending
from ingress.app import serve
from ingress.workers import Control, inherited
from schemas.metrics import Metrics
from schemas.settings.processes import IngressSettings
from tests.fakes.clock import ManualClock
from tests.fakes.egress import NoEgress
from tests.fakes.publisher import MemoryPublisher
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, key, snapshot, source


async def main(listening: int, control: int) -> int:
    settings = IngressSettings(kafka_bootstrap_servers="127.0.0.1:1", registry_url="sqlite://", ack_budget_s=1.0)
    return await serve(
        settings,
        view=FixedView(snapshot([source("shop", auth="none")], keys={"hbk_a": key()})),
        publisher=MemoryPublisher(keep=False),
        registrar=RecordingRegistrar(),
        tallies=RecordingSink(),
        clock=ManualClock(),
        metrics=Metrics(),
        egress=NoEgress(),
        sock=inherited(listening),
        receipt_key=b"k",
        control=Control(control),
    )


if __name__ == "__main__":
    ending.quick()
    sys.exit(uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]))))
