"""Which ports and which environment the processes of one start get.

Lives here: values only. May not live here: spawning (up.py), what a setting means (schemas/settings).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from deploy.local.errors import LocalError
from deploy.local.folder import DataFolder
from deploy.local.ports import LOOPBACK, free_port, require_free
from schemas.reasons import Reason

DEFAULT_TENANT = "default"
PUBLIC_URL = "HOOKBERG_PUBLIC_INGEST_URL"
NOT_FOR_CHILDREN = ("HOOKBERG_KEY", "HOOKBERG_URL", "HOOKBERG_CACHE_DIR", "HOOKBERG_LOCAL_KAFKA_JVM")
"""Settings of the command line and of the local start: a process would refuse them as unknown."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports: the control plane, the fast ingress door, and health pages; `stats` 0: that has none."""

    api: int
    ingress: int
    streams: int
    sinks: int
    notify: int
    stats: int = 0

    def of(self, name: str) -> int:
        """Return the port on which process `name` answers `/readyz`."""
        port: int = asdict(self)[name]
        return port

    def all(self) -> tuple[int, ...]:
        """Return every port."""
        return (self.api, self.ingress, self.streams, self.sinks, self.notify, *((self.stats,) if self.stats else ()))


def choose_ports(api: int, ingress: int) -> Ports:
    """Check the two ports the user chose and choose the others. Raises LocalError `port_taken`."""
    require_free(api, "--port")
    require_free(ingress, "--ingest-port")
    if api == ingress:
        raise LocalError(Reason.PORT_TAKEN, f"--port and --ingest-port are both {api}; choose two different ports")
    streams = free_port((api, ingress))
    sinks = free_port((api, ingress, streams))
    notify = free_port((api, ingress, streams, sinks))
    return Ports(api, ingress, streams, sinks, notify, free_port((api, ingress, streams, sinks, notify)))


def public_url(environ: Mapping[str, str], ports: Ports) -> str:
    """Return the address that vendors are told: the user's own, else the ingress on this machine."""
    return environ.get(PUBLIC_URL) or f"http://{LOOPBACK}:{ports.ingress}"


def environment(base: Mapping[str, str], folder: DataFolder, ports: Ports, bootstrap: str) -> dict[str, str]:
    """Return a process's environment: the user's own, without the command line's, with this start's settings.

    Replication settings of the user stand (an existing cluster may have several brokers), the public addresses, which
    a tunnel gives, and where outbound webhooks may go: here also to receivers on this machine, unencrypted.
    """
    kept = {key: value for key, value in base.items() if key not in NOT_FOR_CHILDREN}
    defaults = {
        "HOOKBERG_LOG_FORMAT": "console",
        PUBLIC_URL: public_url(base, ports),
        "HOOKBERG_PUBLIC_API_URL": f"http://{LOOPBACK}:{ports.api}",
        "HOOKBERG_REPLICATION_FACTOR": "1",
        "HOOKBERG_MIN_INSYNC_REPLICAS": "1",
        "HOOKBERG_NOTIFY_ALLOW_PRIVATE": "127.0.0.0/8,::1/128",
        "HOOKBERG_NOTIFY_ALLOW_HTTP": "true",
        "PYTHONUNBUFFERED": "1",
    }
    fixed = {
        "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "HOOKBERG_REGISTRY_URL": f"sqlite:///{folder.registry}",
        "HOOKBERG_CATALOG_URI": f"sqlite:///{folder.catalog}",
        "HOOKBERG_CATALOG_WAREHOUSE": f"file://{folder.warehouse}",
        "HOOKBERG_VAULT_KEY_FILE": str(folder.vault_key),
        "HOOKBERG_ADMIN_KEY_FILE": str(folder.admin_key),
        "HOOKBERG_STATE_DIR": str(folder.state),
        "HOOKBERG_DEFAULT_TENANT": DEFAULT_TENANT,
        "HOOKBERG_API_HOST": LOOPBACK,
        "HOOKBERG_API_PORT": str(ports.api),
        "HOOKBERG_INGEST_HOST": LOOPBACK,
        "HOOKBERG_INGEST_PORT": str(ports.ingress),
        "HOOKBERG_STREAMS_HEALTH_PORT": str(ports.streams),
        "HOOKBERG_SINKS_HEALTH_PORT": str(ports.sinks),
        "HOOKBERG_NOTIFY_HEALTH_PORT": str(ports.notify),
    }
    if ports.stats:
        fixed["HOOKBERG_STATS_HEALTH_PORT"] = str(ports.stats)
    return defaults | kept | fixed
