"""The settings of each process. The reference table in the README is generated from this file."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

from schemas.settings.base import PREFIX, Settings
from schemas.settings.notify import DeliverySettings, EndpointSettings
from schemas.settings.public import ApiAddressSettings, PublicUrl
from schemas.settings.tracing import TraceSettings

Port = Annotated[int, Field(ge=0, le=65535)]


def _from_json(value: object) -> object:
    """Read an environment variable's JSON; what is no JSON is left to be refused as what it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


class LogSettings(Settings):
    """What every process takes."""

    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="least level printed")
    log_format: str = Field(default="json", pattern="^(json|console)$", description="json lines, or for people")
    log_repeats_per_minute: int = Field(
        default=60, ge=0, le=100_000, description="of one line; what is said more often is counted; 0: no limit"
    )


class KafkaSettings(Settings):
    """How the cluster is reached and topics are made."""

    kafka_bootstrap_servers: str = Field(description="host:port, comma-separated")
    kafka_security_protocol: str = Field(
        default="PLAINTEXT",
        pattern="^(PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)$",
        description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    )
    kafka_sasl_mechanism: str | None = Field(
        default=None, pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$", description="PLAIN or SCRAM-SHA-256, -512"
    )
    kafka_sasl_username: str | None = Field(default=None, description="with a SASL protocol")
    kafka_sasl_password: SecretStr | None = Field(default=None, description="with a SASL protocol")
    kafka_ssl_ca_file: Path | None = Field(default=None, description="PEM of the certificate authority")
    replication_factor: int = Field(default=3, ge=1, le=15, description="of every topic we make")
    min_insync_replicas: int = Field(default=2, ge=1, le=15, description="of every topic we make")
    topic_partitions: int = Field(default=4, ge=1, le=1000, description="of a raw topic when it is made; frozen then")
    body_limit_bytes: int = Field(default=20_000_000, ge=1024, le=100 << 20, description="largest body taken")


class RegistrySettings(Settings):
    """Where the registry is and how secrets in it are opened."""

    registry_url: SecretStr = Field(description="SQLAlchemy URL: sqlite:///… or postgresql+psycopg://…")
    vault_key: SecretStr | None = Field(default=None, description="32 bytes, URL-safe base64; encrypts secrets at rest")
    vault_key_file: Path | None = Field(default=None, description="file that holds vault_key")
    registry_poll_s: float = Field(
        default=0.25, gt=0, le=0.5, description="how often views ask for a new revision: revoked is 404 within 1 s"
    )
    groups: int = Field(default=1, ge=1, le=256, description="worker groups that new raw topics are spread over")


class EgressSettings(Settings):
    """Which addresses are called that users name: key sets of token issuers."""

    egress_networks: str = Field(
        default="", max_length=4096, description="private networks that may be called: 10.1.0.0/16,192.168.7.4/32"
    )
    egress_allow_http: bool = Field(default=False, description="call http:// too, which anyone on the way can change")
    egress_ca_file: Path | None = Field(default=None, description="PEM of a private authority, beside the public ones")
    egress_timeout_s: float = Field(default=5.0, gt=0, le=60, description="of one call, name look-up included")


class LakeSettings(Settings):
    """Which Iceberg catalog and warehouse tables live in."""

    catalog_name: str = Field(default="hookberg", description="Spark and Trino must use the same name")
    catalog_type: str = Field(default="sql", pattern="^(sql|rest|glue)$", description="sql, rest or glue")
    catalog_uri: SecretStr | None = Field(default=None, description="SQLAlchemy URL or REST endpoint")
    catalog_warehouse: str | None = Field(default=None, description="file:///… or s3://…")
    catalog_properties: Annotated[dict[str, Any], BeforeValidator(_from_json)] = Field(
        default_factory=dict, repr=False, description="further pyiceberg properties, for example s3.endpoint (JSON)"
    )


class MigrateSettings(RegistrySettings, LogSettings):
    """`hookberg migrate`: makes or upgrades the database, and the first admin key when one is given."""

    default_tenant: str | None = Field(default=None, description="tenant of requests without X-Tenant-Id")
    admin_key: SecretStr | None = Field(default=None, description="text of the first API key (hbk_…), all permissions")
    admin_key_file: Path | None = Field(default=None, description="file that holds admin_key")


class DoorSettings(KafkaSettings, RegistrySettings, EgressSettings, LogSettings, TraceSettings):
    """What both doors of the data plane take."""

    default_tenant: str | None = Field(default=None, description="tenant of requests without X-Tenant-Id")
    public_ingest_url: PublicUrl = Field(
        default="http://127.0.0.1:8081", description="how vendors reach the ingress; every URL shown begins with it"
    )
    ack_budget_s: float = Field(default=2.0, gt=0, le=30, description="wait for Kafka before 503 broker_slow")
    in_flight_requests: int = Field(default=2000, ge=1, description="per process; past it 429")
    in_flight_bytes: int = Field(default=128 << 20, ge=1 << 20, description="of bodies, per process; past it 429")
    key_requests_per_s: float = Field(
        default=0.0, ge=0, le=1_000_000, description="of one API key in one process, calls and deliveries; 0: no limit"
    )
    key_burst_requests: int = Field(default=100, ge=1, le=1_000_000, description="at once, of a key that was quiet")
    source_requests_per_s: float = Field(
        default=0.0, ge=0, le=1_000_000, description="proven deliveries to one source in one process; 0: no limit"
    )
    source_burst_requests: int = Field(default=100, ge=1, le=1_000_000, description="at once, to one that was quiet")
    body_grace_s: float = Field(default=10.0, gt=0, le=300, description="before a body must flow at the least rate")
    body_min_rate_bytes_s: int = Field(default=64 << 10, ge=1, description="least rate of a body")
    drain_notice_s: float = Field(
        default=0.0, ge=0, le=300, description="after SIGTERM /readyz fails and requests are still served for so long"
    )
    keepalive_s: float = Field(default=30.0, gt=0, le=3600, description="idle and header time limit of a connection")
    self_registered_sources: int = Field(
        default=100, ge=0, le=10_000, description="a tenant's sources that API keys may make by posting; 0: none"
    )
    jwks_cache_s: float = Field(
        default=600.0, ge=1, le=86_400, description="key sets of issuers are read anew after it"
    )
    jwks_stale_s: float = Field(
        default=86_400.0, ge=1, le=604_800, description="a key set that could not be read for so long proves nothing"
    )
    jwks_retry_s: float = Field(
        default=60.0, ge=1, le=3600, description="least time between reads of one key set, unknown key ids or not"
    )
    tally_flush_s: float = Field(default=1.0, gt=0, le=60, description="how often counters go to the registry")
    public_tls_ingest_url: PublicUrl | None = Field(
        default=None, description="how vendors reach the TLS listener; none: public_ingest_url"
    )
    trusted_proxies: str = Field(
        default="", max_length=4096, description="networks of proxies that end TLS (10.0.0.0/8,…); none is trusted"
    )
    client_cert_header: str = Field(
        default="",
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,100}$",
        description="header in which a trusted proxy, overwriting it, passes the client certificate on; none: off",
    )
    client_cert_format: str = Field(
        default="pem", pattern="^(pem|xfcc)$", description="pem: the certificate, URL-encoded; xfcc: Envoy's header"
    )


class IngressSettings(DoorSettings):
    """`hookberg ingress`, the fast door."""

    ingest_host: str = Field(default="127.0.0.1", description="address that the fast door listens on")
    ingest_port: Port = Field(default=8081, description="port of the fast door")
    ingest_workers: int = Field(default=1, ge=1, le=64, description="processes on one inherited socket")
    ingest_tls_port: Port | None = Field(default=None, description="port of the TLS listener; none: no listener")
    ingest_tls_cert_file: Path | None = Field(default=None, description="its certificate with chain, PEM")
    ingest_tls_key_file: Path | None = Field(default=None, description="the certificate's key, PEM, not encrypted")
    ingest_tls_client_ca_file: Path | None = Field(
        default=None, description="authorities of client certificates, PEM; none: none is asked for"
    )
    ingest_tls_client_crl_file: Path | None = Field(default=None, description="their lists of revoked ones (CRL), PEM")
    ingest_tls_reload_s: float = Field(
        default=2.0, gt=0, le=3600, description="how often these files are looked at; changed ones count at once"
    )


class ApiSettings(DoorSettings, LakeSettings, EndpointSettings, ApiAddressSettings):
    """`hookberg api`, the control plane (and the data plane for convenience)."""

    api_host: str = Field(default="127.0.0.1", description="address that the API listens on")
    api_port: Port = Field(default=8080, description="port of the API")
    iceberg_reader_properties: Annotated[dict[str, str], BeforeValidator(_from_json)] = Field(
        default_factory=dict,
        repr=False,
        description="handed to readers of /iceberg/v1 with every table, for example s3.endpoint, s3.region, read-only "
        "s3.access-key-id and s3.secret-access-key (JSON)",
    )


class StreamsSettings(KafkaSettings, RegistrySettings, LogSettings, TraceSettings, LakeSettings):
    """`hookberg streams`, the Faust stage."""

    state_dir: Path = Field(default=Path(".hookberg/state"), description="RocksDB of each worker group")
    streams_host: str = Field(default="127.0.0.1", description="address of the stage's health page")
    streams_health_port: Port = Field(default=8082, description="its port; of several groups the first one's")
    stats_health_port: Port | None = Field(
        default=None, description="port of the health page of what counts minutes; none: no page"
    )
    groups_run: str = Field(default="all", description="worker groups this host runs: all, or 0,1,2")
    commit_interval_s: float = Field(default=0.25, ge=0.05, le=5, description="one Kafka transaction an interval")
    transaction_max_records: int = Field(default=20_000, ge=100, le=1_000_000, description="closes an interval early")
    transaction_timeout_s: float = Field(
        default=10.0, ge=2, le=60, description="after it the broker aborts a dead stage's open transaction"
    )
    stage_session_timeout_s: float = Field(default=20.0, ge=1, le=300, description="Kafka group session of a stage")
    stage_stall_s: float = Field(
        default=60.0, ge=2, le=3600, description="a stage that decides nothing for so long while records wait is ended"
    )
    stats_enabled: bool = Field(
        default=True, description="count minutes and tell alerts beside worker group 0, in a process of its own"
    )
    stats_lateness_s: float = Field(
        default=120.0, ge=0, le=86_400, description="a minute of event time is closed so long after its end"
    )
    stats_flush_s: float = Field(default=5.0, ge=0.1, le=300, description="how often minutes go to the registry")
    stats_retention_days: int = Field(default=8, ge=1, le=90, description="how long minutes are kept")
    stats_event_types: int = Field(
        default=50, ge=1, le=1000, description="event types kept apart in one minute of a source; others are one sum"
    )


class SinksSettings(KafkaSettings, RegistrySettings, LogSettings, TraceSettings, LakeSettings):
    """`hookberg sinks`, the Iceberg writers."""

    sinks_host: str = Field(default="127.0.0.1", description="address of the writers' health page")
    sinks_health_port: Port = Field(default=8083, description="its port")
    flush_bytes: int = Field(
        default=64 << 20, ge=1 << 16, le=1 << 30, description="of records; then a table commits early"
    )
    owner_session_timeout_s: float = Field(default=6.0, ge=1, le=300, description="Kafka group session of writers")
    commit_timeout_s: float = Field(default=30.0, ge=1, le=300, description="of one catalog request")
    upsert_index_bytes: int = Field(
        default=1 << 30,
        ge=1 << 20,
        le=1 << 40,
        description="memory for the keys of all upsert tables of a process; past it a stream fails, clearly",
    )
    expired_files_grace_s: float = Field(
        default=10_800, ge=60, le=31_536_000, description="how long files of expired snapshots stay for running queries"
    )


class NotifySettings(KafkaSettings, RegistrySettings, LogSettings, TraceSettings, EndpointSettings, DeliverySettings):
    """`hookberg notify`, the outbound webhooks."""

    notify_host: str = Field(default="127.0.0.1", description="address of the health page of outbound webhooks")
    notify_health_port: Port = Field(default=8084, description="its port")


ALL: tuple[type[Settings], ...] = (
    MigrateSettings,
    IngressSettings,
    ApiSettings,
    StreamsSettings,
    SinksSettings,
    NotifySettings,
)
KNOWN = frozenset(name for cls in ALL for name in cls.model_fields)


def reference() -> list[tuple[str, str, str, str]]:
    """Return one row per setting: environment name, default, processes that take it, meaning."""
    rows = []
    for name in sorted(KNOWN):
        takers = [cls for cls in ALL if name in cls.model_fields]
        info = takers[0].model_fields[name]
        default = "required" if info.is_required() else str(info.get_default(call_default_factory=True))
        processes = " ".join(cls.__name__.removesuffix("Settings").lower() for cls in takers)
        rows.append((PREFIX + name.upper(), default, processes, info.description or ""))
    return rows
