"""Many requests at once over HTTP: shared batches, own answers, nobody left without one."""

from __future__ import annotations

import asyncio
import json
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from sentryfuse.presence import Presence
from sentryfuse.variants import Variant, VariantBuilder
from tests.bundles import random_bundle, small_spec
from tests.integration.http_server import HttpService, StartHttp

JSON = {"Content-Type": "application/json"}


def send(
    service: HttpService, bodies: list[dict[str, Any]], **headers: str
) -> list[httpx.Response]:
    """Send all at once, each on a connection of its own; answers in the order of the bodies."""
    named = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    contents = [json.dumps(body).encode() for body in bodies]

    async def play() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=len(bodies))
        async with httpx.AsyncClient(
            base_url=service.url, timeout=30, trust_env=False, limits=limits
        ) as client:
            posts = (client.post("/v1/infer", content=c, headers=named) for c in contents)
            return await asyncio.gather(*posts)

    return asyncio.run(play())


@lru_cache
def variant(presence: Presence) -> Variant:
    builder = VariantBuilder(random_bundle(small_spec()))
    return builder.build(builder.mask(presence, 0.5))


def alone(content: dict[str, Any]) -> list[float]:
    """Top probability of each window of a request, had it the library to itself."""
    names = small_spec().modality_names
    inputs = {name: np.array(rows, np.float32) for name, rows in content["inputs"].items()}
    logits = variant(Presence.named(inputs, names)).run(inputs).astype(np.float64)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    tops: list[float] = (exponentials / exponentials.sum(axis=1, keepdims=True)).max(1).tolist()
    return tops


def test_concurrent_requests_share_batches_and_each_gets_its_own_answer(
    start_http: StartHttp,
) -> None:
    # A single ratio, so that load changes no answer.
    service = start_http(ratios="0.5", warm_missing=4)
    presences = [(), ("sensor_0", "sensor_3"), ("sensor_2",)]
    bodies = [service.window(*presences[n % 3], batch=1 + n % 2, seed=n) for n in range(48)]
    for _ in range(10):
        answers = [response.json() for response in send(service, bodies)]
        for body, answer in zip(bodies, answers, strict=True):
            assert answer["plan"]["presence"] == list(body["inputs"]), "presences never mix"
            tops = [prediction["probability"] for prediction in answer["predictions"]]
            assert tops == pytest.approx(alone(body), abs=1e-4)
        batches = [answer["receipt"]["batch"] for answer in answers]
        if any(batch["requests"] > 1 for batch in batches):
            break
    else:
        pytest.fail("48 requests at once, ten times over, and none shared a batch")
    assert all(b["windows"] >= b["requests"] for b in batches)


def test_in_a_strict_overload_every_request_is_answered_and_told_when_to_come_back(
    start_http: StartHttp,
) -> None:
    service = start_http()
    for _ in range(30):
        service.infer()  # until it knows how fast this machine is
    bodies = [service.window(seed=n) for n in range(60)]
    responses = [
        response
        for _ in range(3)
        for response in send(service, bodies, X_Latency_Budget_Ms="12", Prefer="handling=strict")
    ]
    refused = [r for r in responses if r.status_code != 200]
    assert len(responses) == 180
    assert {r.status_code for r in responses} <= {200, 422, 429, 504}
    assert any(r.status_code == 200 for r in responses)
    assert any(r.status_code == 429 for r in responses)
    for response in (r for r in refused if r.status_code == 429):
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["reason"] == "busy"
    reasons = ("busy", "deadline", "impossible")
    counted = [service.metric("sentryfuse_shed_total", reason=reason) or 0 for reason in reasons]
    assert sum(counted) == len(refused)
    assert service.metric("sentryfuse_queue_depth") == 0


def test_the_cap_keeps_the_nodes_power_down_and_everybody_is_served(
    start_http: StartHttp,
) -> None:
    # The shipped model: of the made-up one, requests cost more than their inference.
    service = start_http(models=Path("models").resolve(), ratios="0,0.9")
    sample = "/v1/models/dsads-maestro/sample?seed={}"
    bodies = [service.client.get(sample.format(seed)).json() for seed in range(6)]

    def flood(seconds: float) -> float:
        """Keep up to six requests under way; return the node's mean power."""
        before, began = service.client.get("/v1/power").json()["energy_j"], time.monotonic()
        while time.monotonic() < began + seconds:
            assert {response.status_code for response in send(service, bodies)} == {200}
        after, ended = service.client.get("/v1/power").json()["energy_j"], time.monotonic()
        return float((after - before) / (ended - began))

    free_w = flood(1.0)
    cap_w = 3.0 + 0.5 * (free_w - 3.0)
    assert service.client.put("/v1/power", json={"cap_w": cap_w}).status_code == 200
    flood(1.5)
    assert 3.0 < flood(3.0) < 1.05 * cap_w
