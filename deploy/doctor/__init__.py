"""`hookberg doctor`: which questions are asked, by the settings of all processes together.

Lives here: the list. The questions about backing services: schemas/backing/probe. About this machine and our processes:
beside this file. What is printed: deploy/cli/doctor.py.
"""

import datetime as dt
from dataclasses import dataclass, field
from functools import partial

from deploy.doctor import doors, machine
from deploy.doctor.settings import DoctorSettings
from schemas.backing.probe import Finding, Probe, cluster, ok, store
from schemas.definitions.view import Snapshot
from schemas.ports import Clock

_MS = 1_000_000
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Where:
    """What is examined: `local` a data folder of `hookberg up`, `running` whether that runs; `word` names probes.

    `key`: an API key, to which processes tell more.
    """

    given: DoctorSettings = field(repr=False)
    clock: Clock
    word: str
    local: bool = False
    running: bool = True
    key: str = field(default="", repr=False)

    @property
    def now(self) -> dt.datetime:
        """Return the wall clock."""
        return dt.datetime.fromtimestamp(self.clock.time_ns() / _NS, dt.UTC)


def probes(where: Where) -> list[Probe]:
    """Return every question, in the order in which answers are shown."""
    given = where.given
    folders = {"state": given.state_dir, "warehouse": machine.local_path(given.catalog_warehouse)}
    named = (given.ingest_tls_cert_file, given.ingest_tls_client_ca_file, given.kafka_ssl_ca_file, given.egress_ca_file)
    files = [file for file in named if file is not None]
    broker = "start `hookberg up` on this folder: it runs its Kafka" if not where.running else cluster.MEND_BROKER
    return [
        Probe("versions", machine.versions, "set up the environment again: `make setup`"),
        Probe("open files", machine.open_files, "raise the limit of open files"),
        Probe("disk", partial(machine.disk, folders), "look at the folder"),
        Probe("certificates", partial(machine.certificates, files, where.now), "mend the file"),
        Probe("broker", partial(cluster.brokers, given), broker),
        Probe("kafka write", partial(cluster.written, given, lambda: where.clock.time_ns() // _MS, where.word), broker),
        Probe("registry", partial(store.registry, given, where.clock, partial(_known, where)), store.MEND_REGISTRY),
        Probe("catalog", partial(store.catalog, given), store.MEND_CATALOG),
        Probe("warehouse", partial(store.warehouse, given, where.word, where.now), store.MEND_WAREHOUSE),
        *doors.probes(given, local=where.local, running=where.running, key=where.key),
    ]


def _known(where: Where, snapshot: Snapshot) -> list[Finding]:
    """Go on with what the registry knows: its topics, its sources' authorities."""
    wanted = cluster.wanted_topics(snapshot, where.given)
    bundles = machine.bundles(snapshot, where.now)
    if not snapshot.sources:
        return [ok("topics", "no source, no topics"), *bundles]
    try:
        return [*cluster.topics(where.given, wanted), *bundles]
    except Exception as error:  # noqa: BLE001 Kafka is away: its own probe says how to mend that
        return [cluster.unknown_topics(error), *bundles]
