"""What the service says about itself: models, variants, dry runs, samples, documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.api import schemas
from tests.integration.http_server import HttpService


def test_models_are_listed_with_the_newest_version(service: HttpService) -> None:
    listed = schemas.ModelList.model_validate(service.client.get("/v1/models").json())
    (model,) = listed.models
    assert (model.name, model.version, model.default, model.ready) == ("toy", "2", True, True)


def test_a_model_says_what_it_takes_and_answers(service: HttpService) -> None:
    details = schemas.ModelDetails.model_validate(service.client.get("/v1/models/toy").json())
    spec = service.bundle.spec
    assert [m.name for m in details.modalities] == list(spec.modality_names)
    assert details.modalities[0].shape == (12, 3)
    assert details.classes == list(spec.task.class_names)
    assert details.ratios == [0, 0.5, 0.9]


def test_variants_in_memory_show_their_cards(service: HttpService) -> None:
    content = service.client.get("/v1/models/toy/variants").json()
    variants = schemas.VariantList.model_validate(content).variants
    full = [v for v in variants if v.presence_hex == "1f"]
    assert [v.ratio for v in full] == [0, 0.5, 0.9]
    assert full[0].flops > full[1].flops > full[2].flops
    assert full[0].flops_kept_ratio == 1
    assert full[0].latency_ms["1"] == pytest.approx(40)
    assert full[0].energy_mj["1"] == pytest.approx(200)
    assert full[0].latency_ms["4"] > full[0].latency_ms["1"]


def test_a_dry_run_shows_every_option_and_the_reason(untouched: HttpService) -> None:
    response = untouched.client.post(
        "/v1/models/toy/plan",
        json={"present": ["sensor_0", "sensor_1", "sensor_2", "sensor_3", "sensor_4"]},
        headers={"X-Energy-Budget-mJ": "150"},
    )
    run = schemas.DryRun.model_validate(response.json())
    assert run.plan.ratio == 0.5
    assert [option.ratio for option in run.options] == [0, 0.5, 0.9]
    assert all(option.in_memory for option in run.options)
    assert "energy" in response.text
    assert "150 mJ" in run.plan.reason


def test_a_strict_dry_run_is_refused_as_the_request_would_be(service: HttpService) -> None:
    response = service.client.post(
        "/v1/models/toy/plan",
        json={},
        headers={"X-Energy-Budget-mJ": "0.001", "Prefer": "handling=strict"},
    )
    assert response.status_code == 422


def test_a_sample_can_be_posted_as_it_is(service: HttpService) -> None:
    sample = service.client.get("/v1/models/toy/sample?missing=sensor_1,sensor_4&seed=3")
    assert sample.headers["sentryfuse-simulated"] == "true"
    content = sample.json()
    assert content["simulated"] is True
    response = service.client.post(
        "/v1/infer", content=sample.content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 200
    assert response.json()["plan"]["presence"] == ["sensor_0", "sensor_2", "sensor_3"]
    assert response.json()["id"] == content["id"]


def test_a_sample_is_of_the_class_asked_for_and_repeats_by_seed(service: HttpService) -> None:
    path = "/v1/models/toy/sample?label=class-2&seed=5"
    first, again = service.client.get(path), service.client.get(path)
    assert first.json()["label"] == "class-2"
    assert first.content == again.content
    assert service.client.get(path + "1").content != first.content


def test_power_is_told_with_its_source(service: HttpService) -> None:
    power = schemas.PowerInfo.model_validate(service.client.get("/v1/power").json())
    assert power.cap_w is None
    assert power.quality == "modelled"
    assert power.power_w >= power.idle_power_w == 3.0


def documented_examples(service: HttpService) -> Iterator[tuple[str, str, Any]]:
    document = service.client.get("/openapi.json").json()
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            if path.endswith("/unload"):
                continue  # other tests share this service; tests of the repository call it
            real_path = path
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    real_path = real_path.replace(f"{{{parameter['name']}}}", parameter["example"])
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            examples = body["examples"].values() if body else [{"value": None}]
            for example in examples:
                yield verb, real_path, example["value"]


def test_every_documented_example_works(service: HttpService) -> None:
    tried = 0
    for verb, path, content in documented_examples(service):
        response = service.client.request(verb, path, json=content)
        assert response.status_code == 200, (verb, path, response.text)
        tried += 1
    service.client.put("/v1/power", json={"cap_w": None})
    assert tried >= 14


def test_documented_budget_headers_work(service: HttpService) -> None:
    operation = service.client.get("/openapi.json").json()["paths"]["/v1/infer"]["post"]
    headers = {p["name"]: str(p["example"]) for p in operation["parameters"]}
    assert "X-Latency-Budget-Ms" in headers
    assert service.infer(**headers).status_code == 200


def test_the_documentation_needs_no_other_host(service: HttpService) -> None:
    page = service.client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "https://" not in page.text
    assert "http://" not in page.text
    assert "openapi.json" in page.text


def test_every_reference_in_the_documentation_leads_somewhere(service: HttpService) -> None:
    document = service.client.get("/openapi.json").json()
    names = set(document["components"]["schemas"])

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"].rsplit("/", 1)[-1]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    assert set(references(document)) <= names
