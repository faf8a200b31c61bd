"""What the dashboard shows: rows of panels. A metric needs one line here, for all of them have to be seen somewhere.

`shown(title, unit, *metrics)` draws metrics by the default of their kind: a counter as its rate, a gauge as its
greatest value, a histogram as p50, p95 and p99, each by its labels. What needs another view is `asked`, in PromQL,
where `$selector` stands for the dashboard's filters. Not here: how it becomes JSON (dashboard.py).
https://grafana.com/docs/grafana/latest/panels-visualizations/
"""

from dataclasses import dataclass

from schemas.metrics import BY_NAME, Metric

SELECTOR = '{job=~"$job",instance=~"$instance"}'
_INNER = 'job=~"$job",instance=~"$instance"'
_RATE = "$__rate_interval"
MOST_SERIES = 20
_QUANTILES = (0.5, 0.95, 0.99)
_NAMED = {"source": "hookberg_source_info", "stream": "hookberg_stream_info"}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph; `unit` is Grafana's name of a unit; `text` says how to read it."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def shown(title: str, unit: str, *names: str, text: str = "") -> Panel:
    """Return a panel of metrics as the default of their kind has it; a KeyError means a name is not declared."""
    queries = [query for name in names for query in _default(BY_NAME[name], several=len(names) > 1)]
    return Panel(title, unit, tuple(queries), text or " ".join(f"{BY_NAME[name].help}." for name in names))


def asked(title: str, unit: str, *queries: tuple[str, str], text: str) -> Panel:
    """Return a panel of (expression, legend); `$selector` in an expression is the dashboard's filters."""
    filled = (Query(expr.replace("{$selector", "{" + _INNER), legend) for expr, legend in queries)
    return Panel(title, unit, tuple(filled), text)


def _default(metric: Metric, *, several: bool) -> tuple[Query, ...]:
    by = f" by ({', '.join(metric.labels)})" if metric.labels else ""
    legend = " ".join("{{" + label + "}}" for label in metric.labels)
    label = _NAMED.keys() & set(metric.labels)
    if metric.kind == "histogram":
        outer = f" by ({', '.join((*metric.labels, 'le'))})"
        rate = f"sum{outer} (rate({metric.name}_bucket{SELECTOR}[{_RATE}]))"
        return tuple(
            _most(Query(f"histogram_quantile({q}, {rate})", f"p{round(q * 100)} {legend}".strip()), label)
            for q in (_QUANTILES if not metric.labels else _QUANTILES[1:2])
        )
    if metric.kind == "counter":
        expr = f"sum{by} (rate({metric.name}{SELECTOR}[{_RATE}]))"
    else:
        expr = f"max{by} ({metric.name}{SELECTOR})"
    word = metric.name.removeprefix("hookberg_").removesuffix("_total") if several or not legend else ""
    return (_most(Query(expr, f"{word} {legend}".strip()), label),)


def _most(query: Query, label: set[str]) -> Query:
    """Show the greatest of many objects, by their names where a health page tells them, else by their ids."""
    if not label:
        return query
    (one,) = label
    names = f"max by ({one}, tenant, name) ({_NAMED[one]})"
    expr = f"topk({MOST_SERIES}, {query.expr}) * on ({one}) group_left (tenant, name) {names}"
    return Query(expr, query.legend.replace("{{" + one + "}}", "{{tenant}}/{{name}}"))


def _used(of: str) -> str:
    held, limit = f"hookberg_in_flight_{of}{{$selector}}", f'hookberg_in_flight_limit{{$selector,of="{of}"}}'
    return f"max by (instance) ({held}) / on (instance) max by (instance) ({limit})"


ROWS = (
    Row(
        "Can it do its work",
        (
            shown("What keeps processes from being ready", "short", "hookberg_check_failed"),
            shown("Open alerts", "short", "hookberg_alerts_open"),
            shown("Streams by state", "short", "hookberg_streams"),
            shown("The registry last answered", "s", "hookberg_registry_age_seconds"),
            shown("Processes and versions", "short", "hookberg_info"),
            shown("Objects past a label's bound", "short", "hookberg_folded_values"),
        ),
    ),
    Row(
        "The edge",
        (
            shown("Deliveries a second by outcome and reason", "reqps", "hookberg_deliveries_total"),
            shown("Time to the answer", "s", "hookberg_delivery_seconds"),
            asked(
                "Saturation",
                "percentunit",
                (_used("requests"), "requests {{instance}}"),
                (_used("bytes"), "bytes {{instance}}"),
                text="Share of the budgets in use; past 1 deliveries are refused with 429 (HOOKBERG_IN_FLIGHT_*).",
            ),
            shown("Deliveries a second by source", "reqps", "hookberg_source_deliveries_total"),
            shown("Bytes in", "Bps", "hookberg_received_bytes_total"),
            shown("Authentication failures", "reqps", "hookberg_auth_failures_total"),
            asked(
                "Secrets in use: last used",
                "s",
                (
                    "time() - max by (source, secret) (hookberg_secret_used_timestamp_seconds{$selector})",
                    "{{source}} {{secret}}",
                ),
                text="Age of the last use by secret id. In a rotation the old one's grows: then it can be removed.",
            ),
            shown("Over a rate limit", "reqps", "hookberg_rate_limited_total"),
            shown("Sources slowed, refused or shed", "short", "hookberg_strained_sources"),
            shown("Answers held back", "short", "hookberg_delayed_answers"),
            shown("Key sets of token issuers", "reqps", "hookberg_key_set_reads_total"),
        ),
    ),
    Row(
        "The control plane",
        (
            shown("API requests a second", "reqps", "hookberg_api_requests_total"),
            shown("API time to the answer", "s", "hookberg_api_seconds"),
            shown("API requests in flight", "short", "hookberg_api_in_flight_requests"),
        ),
    ),
    Row(
        "What waits",
        (
            shown("Age of the oldest event not done yet", "s", "hookberg_source_oldest_seconds"),
            shown("Events that wait, by source", "short", "hookberg_source_lag_records"),
            shown("Events done a second, by source", "ops", "hookberg_source_drained_per_second"),
        ),
    ),
    Row(
        "The stage",
        (
            shown("Items a second by outcome", "ops", "hookberg_items_total", text="`duplicate`: dedupe hits."),
            shown("To quarantine, by reason", "ops", "hookberg_quarantined_total"),
            shown("Raw records not yet decided", "short", "hookberg_stage_lag_records"),
            shown("Commit of a transaction", "s", "hookberg_transaction_seconds"),
            shown("Transactions a second", "ops", "hookberg_transactions_total"),
            shown("RocksDB bytes", "bytes", "hookberg_rocksdb_bytes"),
            shown("RocksDB keys", "short", "hookberg_rocksdb_keys"),
            shown(
                "RocksDB compactions and stalls", "short", "hookberg_rocksdb_compactions", "hookberg_rocksdb_stalled"
            ),
        ),
    ),
    Row(
        "The tables",
        (
            shown("Freshness: received to committed, p95", "s", "hookberg_freshness_seconds"),
            shown("Rows a second", "ops", "hookberg_rows_total"),
            shown("Table commits a second", "ops", "hookberg_commits_total"),
            shown("One table commit", "s", "hookberg_commit_seconds"),
            shown("Records that wait for a commit", "short", "hookberg_stream_lag_records"),
            shown("Age of what waits for a commit", "s", "hookberg_stream_lag_seconds"),
            shown("Bytes read", "Bps", "hookberg_read_bytes_total"),
            shown("Bytes written", "Bps", "hookberg_written_bytes_total"),
            shown("Records of table advanced", "ops", "hookberg_table_advanced_total"),
        ),
    ),
    Row(
        "Outbound webhooks",
        (
            shown("What attempts came to", "ops", "hookberg_notify_deliveries_total"),
            shown("Requests to receivers by answer", "reqps", "hookberg_notify_attempts_total"),
            shown("One request to a receiver", "s", "hookberg_notify_attempt_seconds"),
            shown("Deliveries that wait", "short", "hookberg_notify_pending", "hookberg_notify_in_flight_requests"),
            shown("Age of the oldest that waits", "s", "hookberg_notify_oldest_seconds"),
            shown("Endpoints that are only probed", "short", "hookberg_notify_open_circuits"),
            shown("Events taken in, by feed", "ops", "hookberg_notify_events_total"),
            shown(
                "Receivers without a contact, records lost",
                "ops",
                "hookberg_notify_no_contact_total",
                "hookberg_notify_lost_total",
            ),
            shown("Events not taken in yet, by feed", "short", "hookberg_notify_feed_lag"),
            asked(
                "Who sends",
                "short",
                ("hookberg_notify_leads{$selector}", "{{job}} {{instance}}"),
                text="1: holds the lease. One process sends, the others stand by; none for long is an alert.",
            ),
        ),
    ),
    Row(
        "Kafka clients",
        (
            shown("Records queued", "short", "hookberg_kafka_queue_records"),
            shown("Bytes queued", "bytes", "hookberg_kafka_queue_bytes"),
            shown("Requests waiting", "short", "hookberg_kafka_waiting_requests"),
            shown("Round trip to the slowest broker", "s", "hookberg_kafka_rtt_seconds"),
            shown("Failed requests", "ops", "hookberg_kafka_errors_total"),
            shown("Bytes on the wire", "Bps", "hookberg_kafka_bytes_total"),
            shown("Brokers by state", "short", "hookberg_kafka_brokers"),
            shown("Rebalances", "ops", "hookberg_kafka_rebalances_total"),
        ),
    ),
    Row(
        "Processes",
        (
            asked(
                "Memory",
                "bytes",
                ("process_resident_memory_bytes{$selector}", "{{job}} {{instance}} resident"),
                ("process_virtual_memory_bytes{$selector}", "{{job}} {{instance}} address space"),
                text="Memory of each process.",
            ),
            asked(
                "Processor",
                "percentunit",
                (f"rate(process_cpu_seconds_total{{$selector}}[{_RATE}])", "{{job}} {{instance}}"),
                text="Cores that each process uses; the event loop of one uses one at most.",
            ),
            shown("How late the event loop is", "s", "hookberg_event_loop_lag_seconds"),
            asked(
                "Open files",
                "percentunit",
                ("process_open_fds{$selector} / process_max_fds{$selector}", "{{job}} {{instance}}"),
                text="Share of the descriptors in use; each connection takes one.",
            ),
            asked(
                "Since the start",
                "s",
                ("time() - process_start_time_seconds{$selector}", "{{job}} {{instance}}"),
                text="A line that falls to zero again and again is a process that is restarted.",
            ),
            asked(
                "Disk used",
                "percentunit",
                (
                    "1 - hookberg_disk_free_bytes{$selector} / hookberg_disk_bytes{$selector}",
                    "{{folder}} {{instance}}",
                ),
                text="Of the state folder, and of a warehouse on this machine.",
            ),
        ),
    ),
)
