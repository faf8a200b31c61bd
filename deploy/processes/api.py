"""`hookberg api`: the control plane and, for convenience, the data plane, in one aiohttp application."""

import asyncio
import os
import socket

from aiohttp import web  # noqa: TID251 the composition root hands the application to its runner

from deploy.processes.foundation import Foundation, foundation, listen, run, stop_event
from ingress import receipt
from ingress.api.app import build_app
from ingress.api.env import ApiEnv
from ingress.api.routes import MAX_LINE_BYTES
from ingress.app import BACKLOG, counted, ended, flushed, followed, make_env, noticed, stop_accepting, until
from ingress.env import Env
from ingress.mount import add_data_plane, server_options
from ingress.overload.measure import Backlogs
from ingress.probes import checks, watch
from ingress.producers import producer_config
from ingress.publish import KafkaPublisher
from schemas import settings
from schemas.backing.egress import HttpEgress
from schemas.backing.kafka import Topics, client_config
from schemas.backing.kafka.lags import Lags
from schemas.backing.kafka.statistics import told
from schemas.backing.lake import open_catalog
from schemas.backing.registry import TallyFlusher
from schemas.backing.registry.registrar import SelfRegistrar
from schemas.definitions.alert import AlertKind
from schemas.errors import EXIT_RESTART
from schemas.logs import logger
from schemas.metrics import Metrics
from sinks.read.catalog import CatalogTables
from sinks.read.deliveries import Deliveries
from sinks.read.reader import Reader

DRAIN_EXTRA_S = 1.0
ALERTS_S = 15.0
log = logger(__name__)


def main(given: settings.ApiSettings) -> int:
    """Bind the port and serve until SIGTERM; return the exit code."""
    sock = listen(given.api_host, given.api_port, "HOOKBERG_API_PORT")
    return run("api", given, lambda: _serve(given, sock))


async def _serve(given: settings.ApiSettings, sock: socket.socket) -> int:
    hurry, leaving = asyncio.Event(), asyncio.Event()
    stop = stop_event(hurry)
    async with foundation("api", given) as base:
        publisher = KafkaPublisher(
            producer_config({**client_config(given), **told(base.metrics, "publisher")}, given.body_limit_bytes),
            ack_budget_s=given.ack_budget_s,
            now_ns=base.clock.time_ns,
        )
        topics, metrics = Topics(given), base.metrics
        tables = Reader(given, lambda: open_catalog(given), given.public_api_url)
        catalog = CatalogTables(lambda: open_catalog(given))
        deliveries = Deliveries(client_config(given), lambda: open_catalog(given), base.view, base.clock)
        door, lags = _door(given, base, publisher, topics, metrics), Lags(client_config(given), topics)
        app = build_app(
            ApiEnv(
                registry=base.registry,
                view=base.view,
                topics=topics,
                tables=tables,
                deliveries=deliveries,
                catalog=catalog,
                clock=base.clock,
                metrics=metrics,
                settings=given,
                ready=lambda: checks(door, publisher, draining=leaving.is_set()),
                random_bytes=os.urandom,
                receipt_key=door.receipt_key,
                keys=door.keys,
                lags=lags,
                pressures=door.overload.told,
                rates=door.rates,
            )
        )
        add_data_plane(app, door)
        watch(door, publisher, metrics, leaving.is_set)
        publisher.start()
        runner = web.AppRunner(
            app,
            shutdown_timeout=given.ack_budget_s + DRAIN_EXTRA_S,
            max_line_size=MAX_LINE_BYTES,
            **server_options(given.keepalive_s),
        )
        await runner.setup()
        site = web.SockSite(runner, sock, backlog=BACKLOG)
        await site.start()
        counting = asyncio.create_task(counted(door, given.tally_flush_s), name="tally")
        backlogs = Backlogs(client_config(given), lags.standing, publisher.problem)
        following = asyncio.create_task(followed(door, backlogs), name="following")
        alerts = asyncio.create_task(open_alerts(base), name="alerts")
        await until(stop, publisher.failed)
        leaving.set()
        await noticed(given.drain_notice_s, hurry, publisher.failed)
        await stop_accepting(runner, door)
        await ended(following)
        await ended(alerts)
        await publisher.drain(given.ack_budget_s + DRAIN_EXTRA_S)
        await ended(counting)
        await flushed(door)
        tables.close()
        deliveries.close()
        catalog.close()
    return EXIT_RESTART if publisher.failed.is_set() else 0


async def open_alerts(base: Foundation) -> None:
    """Tell for ever how many alerts are open, by kind; while the registry is away, how many were."""
    gauge = base.metrics.gauge("hookberg_alerts_open")
    while True:
        try:
            found = await asyncio.to_thread(base.registry.alerts.open_by_kind)
        except Exception as exc:  # noqa: BLE001 the data plane outlives the control plane
            log.warning("alerts_not_counted", error=str(exc)[:300])
        else:
            for kind in AlertKind:
                gauge.labels(kind.value).set(found.get(kind.value, 0))
        await asyncio.sleep(ALERTS_S)


def _door(
    given: settings.ApiSettings, base: Foundation, publisher: KafkaPublisher, topics: Topics, metrics: Metrics
) -> Env:
    return make_env(
        given,
        view=base.view,
        publisher=publisher,
        registrar=SelfRegistrar(base.registry, topics, base.view, given),
        tallies=TallyFlusher(base.registry.tallies, base.registry.refusals),
        clock=base.clock,
        metrics=metrics,
        egress=HttpEgress.of(given),
        receipt_key=receipt.derive(base.vault.derive("receipts")),
        tracer=base.tracer,
    )
