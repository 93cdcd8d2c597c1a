"""The node's power over HTTP: caps, schedules, and books that add up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.api import schemas
from tests.integration.http_server import HttpService, StartHttp

DRILL = {"steps": [{"after_s": 0, "cap_w": 50}, {"after_s": 0.6, "cap_w": 20}]}


def power(service: HttpService) -> dict[str, Any]:
    content: dict[str, Any] = service.client.get("/v1/power").json()
    schemas.PowerInfo.model_validate(content)
    return content


def put(service: HttpService, content: object) -> Any:
    return service.client.put("/v1/power", json=content)


def wait_for_cap(service: HttpService, cap_w: float | None) -> None:
    deadline = time.monotonic() + 10
    while power(service)["cap_w"] != cap_w:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_schedule_is_set_shown_followed_and_lifted(start_http: StartHttp) -> None:
    service = start_http()
    shown = put(service, {"schedule": DRILL}).json()
    assert shown["schedule"] == DRILL
    assert shown["cap_w"] == 50
    assert shown["tokens_j"] > 0
    wait_for_cap(service, 20)
    assert service.metric("sentryfuse_power_cap_watts") == 20
    assert service.metric("sentryfuse_power_tokens_joules") > 0
    assert service.infer().status_code == 200
    lifted = put(service, {"cap_w": None}).json()
    assert lifted["schedule"] is lifted["cap_w"] is lifted["tokens_j"] is None


def test_a_schedule_in_a_file_holds_from_the_start(start_http: StartHttp, tmp_path: Path) -> None:
    path = tmp_path / "power.json"
    path.write_text(json.dumps({"steps": [{"at": "00:00", "cap_w": 17}]}))
    service = start_http(power_schedule=path)
    assert power(service)["cap_w"] == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ('{"steps": [{"at": "25:00", "cap_w": 9}]}', "schedule.steps[0].at must be a time of day"),
        ('{"steps": [{"at": "05:00", "cap_w": 2}]}', "above the idle power of 3 W"),
    ],
)
def test_a_file_that_is_no_schedule_ends_the_start_with_the_reason(
    start_http: StartHttp, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "power.json"
    path.write_text(text)
    service = start_http(ready=False, power_schedule=path)
    assert service.process.wait(timeout=30) != 0
    assert "SENTRYFUSE_POWER_SCHEDULE" in service.log.read_text()
    assert message in service.log.read_text()


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "body"),
        ({"cap_w": 9, "schedule": DRILL}, "body"),
        ({"schedule": None}, "schedule"),
        ({"schedule": {}}, "schedule"),
        ({"schedule": {"steps": [{"at": "noon", "cap_w": 9}]}}, "schedule.steps[0].at"),
        ({"schedule": {"steps": [{"at": "05:00", "cap_w": -1}]}}, "schedule.steps[0].cap_w"),
        ({"schedule": {"steps": [{"at": "05:00", "cap_w": 2}]}}, "schedule"),
        ({"cap_w": 3.0}, "cap_w"),
        ({"cap_w": "9"}, "cap_w"),
    ],
)
def test_a_wrong_cap_or_schedule_is_refused_by_field_and_changes_nothing(
    service: HttpService, content: object, field: str
) -> None:
    response = put(service, content)
    assert response.status_code == 422
    assert response.json()["field"] == field
    assert power(service)["cap_w"] is power(service)["schedule"] is None


def test_what_receipts_charge_is_what_the_node_books(start_http: StartHttp) -> None:
    service = start_http()
    receipts = [
        service.infer(service.window(batch=1 + n % 3, seed=n)).json()["receipt"] for n in range(40)
    ]
    charged_j = sum(receipt["energy_mj"] for receipt in receipts) / 1e3
    assert {receipt["energy_source"] for receipt in receipts} == {"cpu-time"}
    time.sleep(0.8)  # until the books have been closed over the last of them
    books = power(service)
    assert books["requests_j"] == pytest.approx(charged_j, rel=0.02, abs=1e-3)
    assert books["idle_j"] + books["requests_j"] + books["overhead_j"] == pytest.approx(
        books["energy_j"], abs=1e-3
    )
    of_variants = sum(
        service.metric("sentryfuse_variant_energy_joules_total", presence="1f", ratio=ratio) or 0
        for ratio in ("0", "0.5", "0.9")
    )
    assert of_variants == pytest.approx(charged_j, rel=1e-3)


def test_the_metrics_of_energy_add_up_to_the_nodes(start_http: StartHttp) -> None:
    service = start_http()
    for n in range(20):
        service.infer(service.window(seed=n))
    text = service.client.get("/metrics").text
    values = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(("sentryfuse_energy_joules_total", "sentryfuse_node_energy_joules"))
    }
    total_j = values.pop('sentryfuse_node_energy_joules_total{source="cpu-time"}')
    assert len(values) == 3
    assert min(values.values()) > 0
    assert sum(values.values()) == pytest.approx(total_j, rel=1e-9)
