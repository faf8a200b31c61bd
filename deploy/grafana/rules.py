"""Alert rules for Prometheus: the causes of our own alert kinds, and what no process can tell of itself.

Lives here: the rules. Thresholds of one source are judged by Hookberg itself (its alerts carry numbers, a sample and
what to do; `GET /alerts`), so a rule of the same kind asks whether one is open; where a figure of the whole is at hand
a rule on the figure stands beside it. Not here: how they become YAML (generate.py).
https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
"""

from dataclasses import dataclass
from typing import Literal

from schemas.definitions.alert import AlertKind


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule; `held` is how long it must hold, `kind` the alert kind whose cause it covers."""

    name: str
    expr: str
    held: str
    severity: Literal["page", "ticket"]
    summary: str
    todo: str
    kind: AlertKind | None = None


def _open(kind: AlertKind) -> str:
    return f'max(hookberg_alerts_open{{kind="{kind.value}"}}) > 0'


_ASK = "GET /api/v1/alerts names the object, its figures and what to do."
RULES = (
    Rule("HookbergDepth", _open(AlertKind.DEPTH), "1m", "page", "A source's backlog is past a threshold",
         _ASK, AlertKind.DEPTH),
    Rule("HookbergStageBehind", "sum(hookberg_stage_lag_records) > 1000000", "10m", "page",
         "{{ $value }} raw records wait for the stage",
         "See CPU and RocksDB of `streams`; add worker groups' hosts (HOOKBERG_GROUPS_RUN).", AlertKind.DEPTH),
    Rule("HookbergAge", _open(AlertKind.AGE), "1m", "page", "The oldest event of a source waits too long",
         _ASK, AlertKind.AGE),
    Rule("HookbergOldest", "max by (origin) (hookberg_source_oldest_seconds) > 600", "5m", "page",
         "The oldest event that waits for the {{ $labels.origin }} is {{ $value }} s old",
         "The panel of the same name shows whose it is.", AlertKind.AGE),
    Rule("HookbergFreshness", _open(AlertKind.FRESHNESS), "1m", "page", "A stream's rows come late",
         _ASK, AlertKind.FRESHNESS),
    Rule("HookbergFreshnessP95",
         "histogram_quantile(0.95, sum by (le) (rate(hookberg_freshness_seconds_bucket[10m]))) > 60", "10m", "page",
         "95 of 100 rows take {{ $value }} s from delivery to commit",
         "Compare commit seconds and lag of the streams; add `sinks` members.", AlertKind.FRESHNESS),
    Rule("HookbergStreamFailed", 'sum(hookberg_streams{state="failed"}) > 0', "1m", "page",
         "{{ $value }} streams have failed", "`hookberg stream list` gives the reason; the runbook the way out.",
         AlertKind.FRESHNESS),
    Rule("HookbergQuarantine", _open(AlertKind.QUARANTINE), "1m", "ticket", "A source's events go to quarantine",
         "`hookberg quarantine list` says why; mend the pin or the sender, then redrive.", AlertKind.QUARANTINE),
    Rule("HookbergQuarantineShare",
         'sum(rate(hookberg_items_total{outcome="quarantined"}[15m])) / sum(rate(hookberg_items_total[15m])) > 0.05',
         "15m", "ticket", "{{ $value | humanizePercentage }} of all items go to quarantine",
         "hookberg_quarantined_total by reason shows what is wrong.", AlertKind.QUARANTINE),
    Rule("HookbergSilence", _open(AlertKind.SILENCE), "1m", "ticket", "A source that should speak is silent",
         _ASK, AlertKind.SILENCE),
    Rule("HookbergRetention", _open(AlertKind.RETENTION), "1m", "page",
         "A position nears the end of what Kafka keeps", _ASK, AlertKind.RETENTION),
    Rule("HookbergLossBudget", _open(AlertKind.LOSS_BUDGET), "1m", "ticket", "A shedding source spends its loss budget",
         _ASK, AlertKind.LOSS_BUDGET),
    Rule("HookbergRestarts", _open(AlertKind.RESTARTS), "1m", "page", "Workers are started again and again",
         _ASK, AlertKind.RESTARTS),
    Rule("HookbergRestarting", 'changes(process_start_time_seconds{job=~"hookberg.*"}[15m]) > 2', "0m", "page",
         "{{ $labels.job }} {{ $labels.instance }} was started {{ $value }} times in 15 min",
         "Its last log lines before each end say why.", AlertKind.RESTARTS),
    Rule("HookbergLoss", _open(AlertKind.LOSS), "0m", "page", "Records are lost",
         _ASK, AlertKind.LOSS),
    Rule("HookbergItemsLost", 'increase(hookberg_items_total{outcome="lost"}[15m]) > 0', "0m", "page",
         "{{ $value }} raw records were gone from Kafka before they were decided",
         "`hookberg audit` names the ranges; look at retention and at the brokers' disks.", AlertKind.LOSS),
    Rule("HookbergBrokerAway", 'max by (job, instance) (hookberg_check_failed{check="broker"}) == 1', "1m", "page",
         "{{ $labels.job }} {{ $labels.instance }} reaches no Kafka broker",
         "Deliveries are answered 503. Look at the brokers, the network, and the client's credentials."),
    Rule("HookbergProcessDown", 'up{job=~"hookberg.*"} == 0', "2m", "page",
         "{{ $labels.job }} {{ $labels.instance }} does not answer /metrics",
         "Look at the process and its last log lines."),
    Rule("HookbergNotReady", "max by (job, instance, check) (hookberg_check_failed) == 1", "10m", "page",
         "{{ $labels.job }} {{ $labels.instance }} is not ready: {{ $labels.check }}",
         "GET /readyz with an API key says why."),
    Rule("HookbergRegistryAway", "max by (job, instance) (hookberg_registry_age_seconds) > 60", "5m", "ticket",
         "{{ $labels.job }} {{ $labels.instance }} last heard of the registry {{ $value }} s ago",
         "The data plane goes on with what it knows; changes and new sources wait. Look at the database."),
    Rule("HookbergDisk", "min by (job, instance, folder) (hookberg_disk_free_bytes / hookberg_disk_bytes) < 0.1", "5m",
         "page",
         "{{ $value | humanizePercentage }} of the disk of {{ $labels.folder }} is left on {{ $labels.instance }}",
         "Grow the volume: a stage without disk ends."),
    Rule("HookbergRefusals",
         'sum(rate(hookberg_deliveries_total{outcome="overloaded"}[5m])) '
         "/ sum(rate(hookberg_deliveries_total[5m])) > 0.01",
         "5m", "page", "{{ $value | humanizePercentage }} of the deliveries are refused for overload",
         "See saturation of the edge; add `ingress` replicas, or raise the budgets."),
    Rule("HookbergEventLoop",
         "histogram_quantile(0.99, sum by (job, instance, le) (rate(hookberg_event_loop_lag_seconds_bucket[5m]))) > 1",
         "10m", "ticket", "The event loop of {{ $labels.job }} {{ $labels.instance }} runs {{ $value }} s late",
         "It has more to do than one core does: add replicas or workers."),
    Rule("HookbergNotifyNobody", "max(hookberg_notify_leads) == 0", "2m", "page",
         "No process sends outbound webhooks",
         "Each stands by for a lease that nobody holds: see the log of `hookberg notify` and the database."),
    Rule("HookbergNotifyBehind", "max by (feed) (hookberg_notify_feed_lag) > 10000", "10m", "ticket",
         "{{ $value }} changes of {{ $labels.feed }} are not taken in for outbound webhooks",
         "See CPU of `hookberg notify` and what the database takes a second."),
    Rule("HookbergNotifyGivenUp", 'increase(hookberg_notify_deliveries_total{result="retryLimitReached"}[1h]) > 0',
         "0m", "ticket", "Outbound deliveries were given up after their last retry",
         "`hookberg webhook list` shows whose; mend the receiver, then `hookberg webhook resend --failed-since 24h`."),
    Rule("HookbergRocksDBStalled", "max by (job, instance, group) (hookberg_rocksdb_stalled) == 1", "5m", "ticket",
         "RocksDB of group {{ $labels.group }} holds writes up", "Its disk is too slow for what is written."),
)  # fmt: skip
