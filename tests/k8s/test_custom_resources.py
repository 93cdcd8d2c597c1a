"""Resources of Prometheus, KEDA and KServe are ones that these programs take, and make sense."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from app.telemetry.merging import RULES as GAUGES
from app.telemetry.metrics import Metrics
from tests.k8s.manifests import (
    K8S,
    ROOT,
    Manifest,
    manifests,
    named,
    namespace_of,
    of_kind,
    pods,
    selects,
)

CRDS = Path(__file__).parent / "crds"
KSERVE = ROOT / ".venv-kserve/bin/python"
KSERVE_MODELS = Path(__file__).parent / "kserve_models.py"


def resources(folder: str, *kinds: str) -> list[Manifest]:
    """The one of each kind, in this order."""
    objects = manifests(folder)
    return [found for kind in kinds for (found,) in [of_kind(objects, kind)]]


def complaints(*found: Manifest) -> list[str | None]:
    """What the schemas that the projects publish say of each."""
    node = shutil.which("node")
    if node is None or not (CRDS / "node_modules").is_dir():
        pytest.skip("no schemas of custom resources: make tests/k8s/crds/node_modules (needs npm)")
    return list(told([node, str(CRDS / "check.mjs")], [*found]))


def told(command: list[str], found: list[Manifest]) -> list[Any]:
    done = subprocess.run(
        command, input=json.dumps(found), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def test_prometheus_operator_and_keda_take_what_they_are_given() -> None:
    monitor, rule = resources("overlays/monitoring", "ServiceMonitor", "PrometheusRule")
    (scaled,) = resources("overlays/autoscale", "ScaledObject")
    wrong = json.loads(json.dumps([monitor, rule, scaled]))
    wrong[0]["spec"]["endpoints"][0]["interval"] = "often"
    wrong[1]["spec"]["groups"][0]["rules"][0].pop("expr")
    wrong[2]["spec"]["triggers"][0].pop("type")

    said = complaints(monitor, rule, scaled, *wrong)

    assert said[:3] == [None, None, None]
    assert all(said[3:])


def test_kserve_takes_what_it_is_given() -> None:
    if not KSERVE.exists():
        pytest.skip("no environment of KServe's models: make .venv-kserve/ready")
    found = resources("overlays/kserve", "ServingRuntime", "InferenceService")
    wrong = json.loads(json.dumps(found))
    for spoiled in wrong:
        spoiled["spec"]["protocolVersion"] = 2

    said = told([str(KSERVE), "-W", "ignore", str(KSERVE_MODELS)], [*found, *wrong])

    assert said[:2] == [[], []]
    assert all("no field protocolVersion" in complaint for (complaint,) in said[2:])


def test_the_model_that_kserve_asks_for_is_one_that_the_runtime_serves() -> None:
    objects = manifests("overlays/kserve")
    (service,) = of_kind(objects, "InferenceService")
    model = service["spec"]["predictor"]["model"]
    runtime = named(objects, "ServingRuntime", model["runtime"])["spec"]
    formats = [{k: f[k] for k in ("name", "version")} for f in runtime["supportedModelFormats"]]
    assert model["modelFormat"] in formats
    assert model["protocolVersion"] in runtime["protocolVersions"]
    assert service["metadata"]["name"] in os.listdir(ROOT / "models")


@pytest.mark.parametrize("overlay", ["single-node", "cluster", "power-classes", "metering"])
def test_prometheus_finds_the_service_of_every_overlay(overlay: str) -> None:
    (monitor,) = resources("overlays/monitoring", "ServiceMonitor")
    spec, objects = monitor["spec"], manifests(f"overlays/{overlay}")
    (service,) = (
        s for s in of_kind(objects, "Service") if selects(spec["selector"], s["metadata"]["labels"])
    )
    assert namespace_of(service) in spec["namespaceSelector"]["matchNames"]
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_prometheus_asks_as_often_as_dashboards_think() -> None:
    source = (ROOT / "docker/grafana/provisioning/datasources").glob("*.y*ml")
    (interval,) = re.findall(r"timeInterval: (\S+)", "".join(p.read_text() for p in source))
    (monitor,) = resources("overlays/monitoring", "ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["interval"] == interval


def test_every_dashboard_comes_as_a_config_map_that_grafana_finds() -> None:
    found = of_kind(manifests("overlays/monitoring"), "ConfigMap")
    files = {name: text for o in found for name, text in o["data"].items()}
    folder = K8S / "overlays/monitoring/dashboards"
    assert {*files} == {path.name for path in folder.iterdir()}
    for name, text in files.items():
        assert json.loads(text) == json.loads((folder / name).read_text())
        assert len(text) < 256 * 1024  # the annotation of `kubectl apply` holds all of it
    assert all(o["metadata"]["labels"]["grafana_dashboard"] == "1" for o in found)


def test_the_autoscaler_asks_for_metrics_that_there_are() -> None:
    (scaled,) = resources("overlays/autoscale", "ScaledObject")
    asked = {name for trigger in triggers(scaled) for name in metrics_of(trigger["query"])}
    assert asked
    registered = {metric.name for metric in Metrics().registry.collect()}
    assert {re.sub("_(sum|total)$", "", name) for name in asked} <= registered | {*GAUGES}


def test_the_autoscaler_scales_the_service_within_what_the_cluster_has() -> None:
    (scaled,) = resources("overlays/autoscale", "ScaledObject")
    spec = scaled["spec"]
    (pod,) = (p for p in pods(manifests("overlays/autoscale")) if p.is_service)
    assert spec["scaleTargetRef"]["name"] == pod.owner["metadata"]["name"]
    assert 1 < spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    # KEDA falls back only for these.
    assert {trigger["metricType"] for trigger in spec["triggers"]} == {"AverageValue"}


def triggers(scaled: Manifest) -> list[dict[str, str]]:
    return [trigger["metadata"] for trigger in scaled["spec"]["triggers"]]


def metrics_of(query: str) -> set[str]:
    """Names of metrics; fails where the expression is none."""
    promql_parser.parse(query)
    return {*re.findall(r"\b(sentryfuse_\w+)\{", query)}
