"""The Kubernetes manifests: what Kubernetes' own schemas say, and what ours have to say whatever a schema allows."""

import json
import os
import zipfile
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml  # type: ignore[import-untyped]  # it has no types of its own

from schemas import settings
from schemas.settings.base import Settings
from tests import fixtures

K8S = Path(__file__).parents[3] / "deploy/k8s"
VERSIONS = ("1.29.0", "1.33.0")
PROCESSES: Mapping[str, type[Settings]] = {
    "ingress": settings.IngressSettings,
    "api": settings.ApiSettings,
    "streams": settings.StreamsSettings,
    "sinks": settings.SinksSettings,
    "notify": settings.NotifySettings,
    "migrate": settings.MigrateSettings,
}
PORTS = {
    "ingress": "ingest_port",
    "api": "api_port",
    "streams": "streams_health_port",
    "sinks": "sinks_health_port",
    "notify": "notify_health_port",
}
SECRET = {
    "HOOKBERG_REGISTRY_URL": "postgresql+psycopg://hookberg:x@postgres:5432/hookberg",
    "HOOKBERG_CATALOG_URI": "postgresql+psycopg://hookberg:x@postgres:5432/hookberg",
    "HOOKBERG_VAULT_KEY": "eA==",
    "HOOKBERG_KAFKA_SASL_PASSWORD": "x",
    "HOOKBERG_CATALOG_PROPERTIES": '{"s3.region": "eu-central-1"}',
}
END_S = 15
"""What a process needs after the notice: its budget for Kafka, its last counters, its bounded end."""
Object = Mapping[str, Any]


@cache
def objects() -> tuple[tuple[str, Object], ...]:
    """Return (file, object) of every manifest but kustomize's own."""
    paths = [path for path in sorted(K8S.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return tuple((path.name, one) for path in paths for one in yaml.safe_load_all(path.read_text("utf-8")))


def of_kind(*kinds: str) -> list[Object]:
    return [one for _, one in objects() if one["kind"] in kinds]


def workloads() -> list[tuple[str, Object]]:
    """Return what runs pods, by the process it runs."""
    found = of_kind("Deployment", "StatefulSet", "Job")
    return [(one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"], one) for one in found]


WORKLOADS = pytest.mark.parametrize(("process", "one"), workloads(), ids=[name for name, _ in workloads()])


@cache
def definitions(version: str) -> dict[str, Any]:
    """Return Kubernetes' own schemas, without unknown members, by their names."""
    try:
        path = fixtures.wheel(fixtures.KUBERNETES)
    except fixtures.FixtureError as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{exc}; what needs no schema is checked by the other tests of this file")
    with zipfile.ZipFile(path) as archive:
        name = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/_definitions.json"
        text = archive.read(name).replace(b"#/definitions/", b"#/$defs/")
    whole = json.loads(text)
    found: dict[str, Any] = whole["$defs"] if "$defs" in whole else whole["definitions"]
    return found


@cache
def validator(version: str, api_version: str, kind: str) -> Any:
    """Return what checks an object of a kind."""
    known = definitions(version)
    group, _, api = api_version.rpartition("/")
    wanted = {"group": group, "version": api, "kind": kind}
    names = [name for name, schema in known.items() if wanted in schema.get("x-kubernetes-group-version-kind", [])]
    assert len(names) == 1, f"{wanted} is no object of Kubernetes {version}"
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{names[0]}", "$defs": known})


def refused(one: Object, version: str) -> list[str]:
    """Return what Kubernetes' schema of an object says against it."""
    found = validator(version, one["apiVersion"], one["kind"]).iter_errors(one)
    return [f"{error.instance_path}: {error.message}" for error in found]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_own_schemas_take_every_object(version: str) -> None:
    faults = {f"{name}: {one['kind']} {one['metadata']['name']}": refused(one, version) for name, one in objects()}
    assert {name: said for name, said in faults.items() if said} == {}
    assert len(faults) >= 15


def test_the_schemas_see_a_word_that_is_not_theirs() -> None:
    (one,) = (one for process, one in workloads() if process == "api")
    wrong = json.loads(json.dumps(one).replace('"livenessProbe"', '"livelinessProbe"'))
    assert any("livelinessProbe" in said for said in refused(wrong, VERSIONS[-1]))


def test_every_file_is_applied_and_every_process_runs() -> None:
    kustomization = yaml.safe_load((K8S / "kustomization.yaml").read_text("utf-8"))
    files = {path.name for path in K8S.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    assert {process for process, _ in workloads()} == set(PROCESSES)
    assert {one["metadata"].get("namespace", "hookberg") for _, one in objects()} == {"hookberg"}


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_takes_the_shared_settings(process: str, tmp_path: Path) -> None:
    (config,) = of_kind("ConfigMap")
    given = settings.load(PROCESSES[process], settings.KNOWN, {**config["data"], **SECRET, "HOME": str(tmp_path)})
    ends = {name: one["spec"]["template"]["spec"] for name, one in workloads()}
    if process in PORTS:
        (container,) = ends[process]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports["http"] == getattr(given, PORTS[process])
        assert container["args"] == [process]
    if isinstance(given, settings.IngressSettings | settings.ApiSettings):
        assert ends[process]["terminationGracePeriodSeconds"] >= given.drain_notice_s + given.ack_budget_s + END_S
    if isinstance(given, settings.StreamsSettings):
        assert next(one for name, one in workloads() if name == "streams")["spec"]["replicas"] == given.groups
        assert given.stats_health_port in ports.values()


def test_the_readme_makes_the_secret_that_the_processes_need() -> None:
    text = (K8S / "README.md").read_text("utf-8")
    assert [name for name in SECRET if f"{name}=" not in text] == []


@WORKLOADS
def test_a_pod_may_do_little_and_takes_no_settings_from_services(process: str, one: Object) -> None:
    pod = one["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False, "HOOKBERG_API_PORT=tcp://… would be taken for a setting"
    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    assert {each["name"] for each in container["volumeMounts"]} >= {"tmp"}, process


@WORKLOADS
def test_what_serves_is_probed_spread_and_kept_from_being_evicted_at_once(process: str, one: Object) -> None:
    if one["kind"] == "Job":
        return
    labels = one["spec"]["selector"]["matchLabels"]
    pod = one["spec"]["template"]
    assert labels.items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    spread = {
        each["topologyKey"]: each["labelSelector"]["matchLabels"] for each in pod["spec"]["topologySpreadConstraints"]
    }
    assert spread == {"topology.kubernetes.io/zone": labels, "kubernetes.io/hostname": labels}
    budgets = [each for each in of_kind("PodDisruptionBudget") if each["spec"]["selector"]["matchLabels"] == labels]
    assert [each["spec"]["maxUnavailable"] for each in budgets] == [1], process
    (service,) = (each for each in of_kind("Service") if each["spec"]["selector"] == labels)
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in container["ports"]}
    if one["kind"] == "StatefulSet":
        assert one["spec"]["serviceName"] == service["metadata"]["name"]


def test_only_the_stage_keeps_a_volume() -> None:
    kept = {process: one["spec"]["volumeClaimTemplates"] for process, one in workloads() if one["kind"] == "StatefulSet"
            and "volumeClaimTemplates" in one["spec"]}  # fmt: skip
    assert list(kept) == ["streams"]
    (streams,) = (one for process, one in workloads() if process == "streams")
    mounts = {
        each["name"]: each["mountPath"] for each in streams["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    }
    assert mounts[kept["streams"][0]["metadata"]["name"]] == "/var/lib/hookberg/state"


def test_the_routes_reach_the_doors_and_neither_probes_nor_metrics() -> None:
    (route,) = of_kind("Ingress")
    services = {each["metadata"]["name"] for each in of_kind("Service")}
    for rule in route["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            assert path["backend"]["service"]["name"] in services
            assert not "/metrics".startswith(path["path"])
            assert not "/readyz".startswith(path["path"])


def test_the_autoscaler_scales_what_there_is() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    found = [one for one in of_kind(target["kind"]) if one["metadata"]["name"] == target["name"]]
    assert ["replicas" in one["spec"] for one in found] == [False], "each apply would undo the autoscaler"


def test_nothing_goes_in_or_out_unless_a_policy_names_it() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind("NetworkPolicy")}
    default = policies["hookberg-default"]
    assert (default["podSelector"], set(default["policyTypes"])) == ({}, {"Ingress", "Egress"})
    assert "ingress" not in default


def test_outbound_webhooks_reach_the_world_and_no_network_inside() -> None:
    (policy,) = (one["spec"] for one in of_kind("NetworkPolicy") if one["metadata"]["name"] == "hookberg-notify")
    (rule,) = policy["egress"]
    assert policy["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "notify"}
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]
    inside = [ip_network(each) for one in rule["to"] for each in one["ipBlock"]["except"]]
    for address in (
        "10.1.2.3",
        "172.20.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "127.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
    ):
        assert any(ip_address(address) in network for network in inside), address
