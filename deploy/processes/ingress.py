"""`hookberg ingress`: the fast door. One worker serves in this process; several share one inherited socket."""

import argparse
import socket
import sys

from deploy.processes.foundation import foundation, listen, run
from ingress import app, receipt
from ingress.overload.measure import Backlogs
from ingress.producers import producer_config
from ingress.publish import KafkaPublisher
from ingress.workers import Control, Workers, raise_descriptors
from schemas import settings
from schemas.backing.egress import HttpEgress
from schemas.backing.kafka import Topics, client_config
from schemas.backing.kafka.lags import Lags
from schemas.backing.kafka.statistics import told
from schemas.backing.registry import TallyFlusher
from schemas.backing.registry.registrar import SelfRegistrar
from schemas.errors import EXIT_CONFIGURATION, ConfigurationError


def main(given: settings.IngressSettings) -> int:
    """Bind the port and serve until SIGTERM; return the exit code."""
    raise_descriptors()
    sock = listen(given.ingest_host, given.ingest_port, "HOOKBERG_INGEST_PORT")
    tls = None
    if given.ingest_tls_port is not None:
        tls = listen(given.ingest_host, given.ingest_tls_port, "HOOKBERG_INGEST_TLS_PORT")
    if given.ingest_workers == 1:
        return run("ingress", given, lambda: worker(given, sock, tls, None))
    beside = () if tls is None else (tls,)

    def command(listening: int, channel: int) -> tuple[str, ...]:
        return _command(listening, channel, tls)

    return run("ingress", given, Workers(command, given.ingest_workers, sock, beside=beside).run)


async def worker(
    given: settings.IngressSettings, sock: socket.socket, tls: socket.socket | None, control: Control | None
) -> int:
    """Serve `sock`, and `tls` with TLS, as one worker; `control` leads to the supervisor of several."""
    async with foundation("ingress", given) as base:
        topics, client = Topics(given), client_config(given)
        publisher = KafkaPublisher(
            producer_config({**client, **told(base.metrics, "publisher")}, given.body_limit_bytes),
            ack_budget_s=given.ack_budget_s,
            now_ns=base.clock.time_ns,
        )
        return await app.serve(
            given,
            view=base.view,
            publisher=publisher,
            registrar=SelfRegistrar(base.registry, topics, base.view, given),
            tallies=TallyFlusher(base.registry.tallies, base.registry.refusals),
            clock=base.clock,
            metrics=base.metrics,
            egress=HttpEgress.of(given),
            sock=sock,
            tls_sock=tls,
            receipt_key=receipt.derive(base.vault.derive("receipts")),
            control=control,
            tracer=base.tracer,
            backlogs=Backlogs(client, Lags(client, topics).standing, publisher.problem),
        )


def _command(listening: int, channel: int, tls: socket.socket | None) -> tuple[str, ...]:
    command = (sys.executable, "-m", "deploy.processes.ingress", "--fd", str(listening), "--control", str(channel))
    return command if tls is None else (*command, "--tls-fd", str(tls.fileno()))


def _as_worker() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--tls-fd", type=int)
    arguments = parser.parse_args()
    sock = socket.socket(fileno=arguments.fd)
    tls = None if arguments.tls_fd is None else socket.socket(fileno=arguments.tls_fd)
    try:
        given = settings.load(settings.IngressSettings, settings.KNOWN)
        return run("ingress", given, lambda: worker(given, sock, tls, Control(arguments.control)))
    except ConfigurationError as error:
        sys.stderr.write(f"hookberg: {error}\n")
        return EXIT_CONFIGURATION  # the supervisor ends all: no restart heals it


if __name__ == "__main__":
    sys.exit(_as_worker())
