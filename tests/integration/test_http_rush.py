"""A rush of requests over real HTTP: handing batches over takes the cores, and is reckoned with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sentryfuse.bundle import write_bundle
from tests.integration.http_server import StartHttp, simulated_bundle, write_profile
from tests.integration.test_http_batching import send

RUSH = 64


def test_a_rush_shares_batches_although_by_the_profile_each_window_is_cheaper_alone(
    start_http: StartHttp, tmp_path: Path
) -> None:
    bundle = simulated_bundle()
    digest = write_bundle(bundle, tmp_path / "bundle")
    write_profile(bundle, digest, tmp_path / "profiles", dearer=1.05)
    service = start_http(profiles=tmp_path / "profiles", warm_all="true")
    body = service.window()

    for _ in range(10):
        answers = send(service, [body] * RUSH, X_Latency_Budget_Ms="1000")
        plans = [a.json()["plan"] for a in answers if a.status_code == 200]
        if any(plan["requests"] > 1 for plan in plans):
            break
    else:
        pytest.fail(f"{RUSH} requests at once, ten times over, and none shared a batch")

    time.sleep(1.5)  # for the forecast of arrivals to fade
    plan = service.infer(body, X_Latency_Budget_Ms="1000").json()["plan"]
    assert (plan["ratio"], plan["requests"]) == (0, 1)
    assert "come so fast" not in plan["reason"]
