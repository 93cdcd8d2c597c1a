"""What each overlay is for."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from app.scheduling.cap_schedule import parse_schedule
from app.settings import Settings
from tests.k8s.manifests import (
    FOLDERS,
    INSTALLS,
    K8S,
    ROOT,
    Manifest,
    Pod,
    manifests,
    named,
    namespace_of,
    of_kind,
    pods,
    rendered,
    selects,
)

REPLICATED = "overlays/cluster"
CLASSES = ("mains", "solar", "battery")


def the_service(objects: list[Manifest]) -> Pod:
    (pod,) = (pod for pod in pods(objects) if pod.is_service)
    return pod


def test_every_overlay_of_the_plan_is_there() -> None:
    assert {*INSTALLS} == {
        *("single-node", "cluster", "metering", "monitoring", "autoscale", "kserve"),
        *("power-classes", "site-power"),
    }


def test_images_bear_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {
        container["image"]
        for folder in FOLDERS
        for pod in pods(manifests(folder))
        for container in pod.spec["containers"]
        if "/sentryfuse" in container["image"]
    }
    assert images == {
        f"ghcr.io/sentryfuse/{name}:{version}" for name in ("sentryfuse", "sentryfuse-train")
    }


def test_an_image_of_ones_own_takes_one_line(tmp_path: Path) -> None:
    own = kustomization(
        "overlays/single-node",
        "images: [{name: ghcr.io/sentryfuse/sentryfuse, newName: registry.local/sf, newTag: v7}]",
        tmp_path,
    )
    assert the_service(manifests(own)).spec["containers"][0]["image"] == "registry.local/sf:v7"


def test_without_keys_the_service_starts_only_where_that_was_asked_for(tmp_path: Path) -> None:
    own = kustomization(
        "overlays/single-node", f"components: [{from_here(tmp_path, 'components/open')}]", tmp_path
    )
    objects = manifests(own)
    variables = the_service(objects).settings(objects)
    assert "SENTRYFUSE_API_KEYS_FILE" not in variables
    assert variables["SENTRYFUSE_ALLOW_OPEN"] == "true"
    assert "sentryfuse-keys" not in rendered(own)


@pytest.mark.parametrize("folder", [REPLICATED, "overlays/autoscale"])
def test_replicas_are_spread_share_redis_and_may_go_one_by_one(folder: str) -> None:
    objects = manifests(folder)
    pod = the_service(objects)
    (spread,) = pod.spec["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert pod.settings(objects)["SENTRYFUSE_REDIS_URL"] == "redis://sentryfuse-redis:6379/0"
    assert named(objects, "PodDisruptionBudget", "sentryfuse")["spec"]["maxUnavailable"] == 1
    redis = named(objects, "Service", "sentryfuse-redis")
    assert redis["spec"]["ports"][0]["port"] == 6379


def test_only_the_autoscaler_says_how_many_replicas_there_are() -> None:
    assert the_service(manifests(REPLICATED)).owner["spec"]["replicas"] == 3
    assert "replicas" not in the_service(manifests("overlays/autoscale")).owner["spec"]


def test_each_node_of_a_site_is_sure_of_its_share_under_a_name_that_stays() -> None:
    objects = manifests("overlays/site-power")
    pod = the_service(objects)
    assert pod.owner["kind"] == "DaemonSet"
    assert pod.owner["spec"]["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0
    variables = pod.settings(objects)
    cap_w, share_w, guaranteed_w = (
        float(variables[f"SENTRYFUSE_SITE_{name}_W"]) for name in ("CAP", "SHARE", "GUARANTEED")
    )
    assert Settings().idle_power_w < share_w <= guaranteed_w <= cap_w
    assert guaranteed_w % share_w == 0
    (name,) = (e for e in pod.spec["containers"][0]["env"] if e["name"] == "SENTRYFUSE_SITE_NODE")
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "spec.nodeName"


def test_each_power_class_has_watts_and_nodes_of_its_own() -> None:
    objects = manifests("overlays/power-classes")
    found = {pod.spec["nodeSelector"]["sentryfuse.io/power-class"]: pod for pod in pods(objects)}
    assert {*found} == {*CLASSES}
    for name, pod in found.items():
        assert pod.owner["kind"] == "DaemonSet"
        assert [pod] == [
            p for p in found.values() if selects(pod.owner["spec"]["selector"], p.labels)
        ]
        variables = pod.settings(objects)
        assert ("SENTRYFUSE_POWER_CAP_W" in variables) == (name == "mains")
        assert ("SENTRYFUSE_POWER_SCHEDULE" in variables) == (name != "mains")


@pytest.mark.parametrize("name", ["solar", "battery"])
def test_schedules_of_power_classes_are_ones_that_the_service_takes(name: str) -> None:
    text = (K8S / "overlays/power-classes" / name / "schedule.json").read_text()
    schedule = parse_schedule(json.loads(text))
    assert schedule.battery
    assert min(schedule.caps_w()) > Settings().idle_power_w


def test_one_service_stands_before_all_power_classes() -> None:
    objects = manifests("overlays/power-classes")
    (service,) = of_kind(objects, "Service")
    assert all(
        selects({"matchLabels": service["spec"]["selector"]}, p.labels) for p in pods(objects)
    )


def test_the_service_reads_counters_without_leaving_the_restricted_profile() -> None:
    objects = manifests("overlays/metering")
    pod = the_service(objects)
    namespace = named(objects, "Namespace", str(pod.namespace))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    volume = named(objects, "PersistentVolume", "sentryfuse-powercap")
    claim = named(objects, "PersistentVolumeClaim", "sentryfuse-powercap")
    assert volume["spec"]["claimRef"]["namespace"] == namespace_of(claim) == pod.namespace
    assert claim["spec"]["volumeName"] == "sentryfuse-powercap"
    mount = next(m for m in pod.spec["containers"][0]["volumeMounts"] if m["name"] == "powercap")
    assert mount["readOnly"]
    assert mount["mountPath"] != volume["spec"]["hostPath"]["path"]  # hidden in every container


def test_who_shares_the_counters_and_who_reads_them_mean_the_same_group() -> None:
    objects = manifests("overlays/metering")
    sharer = next(pod for pod in pods(objects) if not pod.is_service)
    (group,) = the_service(objects).spec["securityContext"]["supplementalGroups"]
    assert sharer.spec["securityContext"]["supplementalGroups"] == [group]
    assert sharer.spec["containers"][0]["command"][-1] == str(group)


def kustomization(overlay: str, lines: str, folder: Path) -> Path:
    """A kustomization of an operator's own, on one of ours."""
    text = f"resources: [{from_here(folder, overlay)}]\n{lines}\n"
    (folder / "kustomization.yaml").write_text(text)
    return folder


def from_here(folder: Path, ours: str) -> str:
    """The way to a folder of ours: kustomize takes no absolute one."""
    return os.path.relpath(K8S / ours, folder.resolve())
