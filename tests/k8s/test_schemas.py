"""What is rendered is what Kubernetes takes, to the letter, in three of its versions."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.k8s.manifests import FOLDERS, manifests

VERSIONS = ("1.31", "1.34", "1.37")
CUSTOM = {
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "ServingRuntime": "serving.kserve.io/v1alpha1",
    "InferenceService": "serving.kserve.io/v1beta1",
}
"""Not Kubernetes' own; test_custom_resources.py checks them."""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_takes_it(folder: str, version: str) -> None:
    for found in manifests(folder):
        if CUSTOM.get(found["kind"]) != found["apiVersion"]:
            assert checked(json.dumps(found), version) == version


@cache
def checked(text: str, version: str) -> str:
    """Overlays have much in common; each object is looked at once."""
    return kubernetes_validate.validate(json.loads(text), version, strict=True)


def test_a_misspelt_field_is_noticed() -> None:
    found: dict[str, Any] = yaml.safe_load("""
        {apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{prot: 80}]}}""")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(found, VERSIONS[0], strict=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_object_is_there_twice(folder: str) -> None:
    ids = [
        (found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"])
        for found in manifests(folder)
    ]
    assert len({*ids}) == len(ids)
