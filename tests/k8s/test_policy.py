"""Every overlay keeps our rules, and each rule notices when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.k8s.manifests import FOLDERS, Manifest, manifests, named
from tests.k8s.policy import violations


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_breaks_a_rule(folder: str) -> None:
    assert violations(manifests(folder)) == []


def pod_of(objects: list[Manifest], name: str = "sentryfuse") -> Any:
    return named(objects, "Deployment", name)["spec"]["template"]["spec"]


def container_of(objects: list[Manifest]) -> Any:
    return pod_of(objects)["containers"][0]


def settings_of(objects: list[Manifest]) -> Any:
    name = container_of(objects)["envFrom"][0]["configMapRef"]["name"]
    return named(objects, "ConfigMap", name)["data"]


def budget_of(objects: list[Manifest]) -> Any:
    return named(objects, "PodDisruptionBudget", "sentryfuse")["spec"]


def without_policies(objects: list[Manifest]) -> None:
    objects[:] = [o for o in objects if o["metadata"]["name"] != "nothing-unless-said"]


def with_host_path(objects: list[Manifest]) -> None:
    pod_of(objects)["volumes"][-1] = {"name": "tmp", "hostPath": {"path": "/tmp"}}


SPOILED: dict[str, Callable[[list[Manifest]], object]] = {
    "the processor is limited": lambda o: (container_of(o)["resources"]["limits"].update(cpu="1"),),
    "no bound on memory": lambda o: container_of(o)["resources"]["limits"].pop("memory"),
    "gets a token": lambda o: pod_of(o).pop("automountServiceAccountToken"),
    "put among its settings": lambda o: pod_of(o).pop("enableServiceLinks"),
    "sees a path of the host": with_host_path,
    "shares something with the host": lambda o: pod_of(o).update(hostNetwork=True),
    "may run as root": lambda o: pod_of(o)["securityContext"].update(runAsUser=0),
    "can write to its root": lambda o: container_of(o)["securityContext"].pop(
        "readOnlyRootFilesystem"
    ),
    "can get more rights": lambda o: container_of(o)["securityContext"].update(privileged=True),
    "has capabilities": lambda o: container_of(o)["securityContext"].pop("capabilities"),
    "every system call": lambda o: pod_of(o)["securityContext"].pop("seccompProfile"),
    "sentryfuse:latest is not pinned": lambda o: container_of(o).update(
        image="ghcr.io/sentryfuse/sentryfuse:latest"
    ),
    "sentryfuse is not pinned": lambda o: container_of(o).update(image="ghcr.io/x/sentryfuse"),
    "image redis:7 is not pinned": lambda o: container_of(o).update(image="redis:7"),
    "pulled though it is there": lambda o: container_of(o).update(imagePullPolicy="Always"),
    "no such settings: SENTRYFUSE_DRAIN": lambda o: settings_of(o).update(SENTRYFUSE_DRAIN="5"),
    "there are no API keys": lambda o: container_of(o).update(env=[]),
    "power_cap_w (2) must be above": lambda o: settings_of(o).update(SENTRYFUSE_POWER_CAP_W="2"),
    "listens on 127.0.0.1": lambda o: settings_of(o).update(SENTRYFUSE_HOST="127.0.0.1"),
    "/elsewhere is not in a volume": lambda o: settings_of(o).update(
        SENTRYFUSE_PROFILES="/elsewhere"
    ),
    "devices/virtual/powercap is not in a volume": lambda o: settings_of(o).update(
        SENTRYFUSE_SYSFS_ROOT="/host/sys"
    ),
    "killed before it has ended": lambda o: pod_of(o).update(terminationGracePeriodSeconds=25),
    "before its readiness has been asked": lambda o: settings_of(o).update(SENTRYFUSE_DRAIN_S="2"),
    "startupProbe asks nothing": lambda o: container_of(o).pop("startupProbe"),
    "livenessProbe asks": lambda o: container_of(o)["livenessProbe"]["httpGet"].update(
        path="/health/ready"
    ),
    "no node can be drained": lambda o: budget_of(o).update(maxUnavailable=0),
    "nothing that it is about": lambda o: budget_of(o).update(
        selector={"matchLabels": {"app": "another"}}
    ),
    "does not select its own pods": lambda o: named(o, "Deployment", "sentryfuse")["spec"][
        "selector"
    ]["matchLabels"].update(app="another"),
    "spread over others": lambda o: pod_of(o)["topologySpreadConstraints"][0][
        "labelSelector"
    ].update(matchLabels={"app": "another"}),
    "Service sentryfuse: nobody listens": lambda o: named(o, "Service", "sentryfuse")["spec"][
        "ports"
    ][0].update(targetPort="https"),
    "NetworkPolicy sentryfuse: is about no pod": lambda o: named(o, "NetworkPolicy", "sentryfuse")[
        "spec"
    ].update(podSelector={"matchLabels": {"app": "another"}}),
    "NetworkPolicy sentryfuse: nobody listens": lambda o: container_of(o).update(ports=[]),
    "there is no ConfigMap": lambda o: container_of(o)["envFrom"][0]["configMapRef"].update(
        name="sentryfuse-settings-old"
    ),
    "there is no Secret": lambda o: pod_of(o)["volumes"][0]["secret"].update(secretName="other"),
    "there is no ServiceAccount": lambda o: pod_of(o).update(serviceAccountName="other"),
    "mounted": lambda o: pod_of(o)["volumes"].append({"name": "unused", "emptyDir": {}}),
    "everybody may talk to everybody": without_policies,
}


@pytest.mark.parametrize("complaint", SPOILED)
def test_a_broken_rule_is_noticed(complaint: str) -> None:
    objects = manifests("overlays/cluster")
    SPOILED[complaint](objects)
    assert [said for said in violations(objects) if complaint in said]
