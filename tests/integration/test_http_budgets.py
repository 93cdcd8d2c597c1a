"""Budgets over HTTP, with a made-up host profile: 40, 20 and 10 ms; 200, 100 and 50 mJ.

A service that has answered knows better than its profile, so what depends on those figures asks
one that has not.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.integration.http_server import HttpService, StartHttp


def chosen(response: httpx.Response) -> float:
    assert response.status_code == 200, response.text
    ratio: float = response.json()["plan"]["ratio"]
    return ratio


def plan(service: HttpService, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.post("/v1/models/toy/plan", json={}, headers=named)


@pytest.mark.parametrize(("millijoules", "ratio"), [("250", 0.0), ("150", 0.5), ("60", 0.9)])
def test_a_smaller_energy_budget_takes_a_smaller_variant(
    untouched: HttpService, millijoules: str, ratio: float
) -> None:
    response = plan(untouched, X_Energy_Budget_mJ=millijoules)
    assert chosen(response) == ratio
    assert response.json()["plan"]["feasible"]


def test_the_first_request_is_served_as_the_dry_run_said(start_http: StartHttp) -> None:
    assert chosen(start_http().infer(X_Energy_Budget_mJ="150")) == 0.5


@pytest.mark.parametrize(("watts", "ratio"), [("1000", 0.0), ("3.00001", 0.9)])
def test_a_smaller_power_budget_takes_a_smaller_variant(
    service: HttpService, watts: str, ratio: float
) -> None:
    assert chosen(service.infer(X_Power_Budget_W=watts)) == ratio


def test_who_is_refused_since_a_variant_must_be_built_finds_it_later(
    start_http: StartHttp,
) -> None:
    service = start_http()
    inputs = service.window(*service.bundle.spec.modality_names[:-1])["inputs"]

    def in_memory() -> set[str]:
        listed = service.client.get("/v1/models/toy/variants").json()["variants"]
        return {variant["presence_hex"] for variant in listed}

    def ask() -> int:
        headers = {"X-Latency-Budget-Ms": "25", "Prefer": "handling=strict"}
        return service.client.post(
            "/v1/infer", json={"inputs": inputs}, headers=headers
        ).status_code

    assert "0f" not in in_memory()
    assert ask() == 429
    deadline = time.monotonic() + 20
    while "0f" not in in_memory():
        assert time.monotonic() < deadline, "nothing was built for whoever comes back"
        time.sleep(0.05)


def test_a_latency_budget_that_nothing_keeps_takes_the_fastest_and_says_so(
    service: HttpService,
) -> None:
    response = service.infer(X_Latency_Budget_Ms="0.01")
    answer = response.json()
    assert chosen(response) == 0.9
    assert answer["plan"]["feasible"] is False
    assert answer["plan"]["conceded"] == ["latency"]
    spent = answer["receipt"]["budget"]["latency"]
    assert spent["asked_ms"] == 0.01
    assert spent["spent_ms"] > 0.01
    assert spent["met"] is False
    assert response.headers["sentryfuse-budget-met"] == "false"
    assert re.fullmatch(
        r"took [0-9.e+]+ ms of 0\.01 ms: .* ms .*", answer["receipt"]["missed_because"]
    )


def test_a_missed_energy_budget_says_what_ate_it(service: HttpService) -> None:
    receipt = service.infer(X_Energy_Budget_mJ="0.01").json()["receipt"]
    assert receipt["met"] is False
    assert receipt["missed_because"].startswith("cost ")
    assert "of 0.01 mJ" in receipt["missed_because"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("grpc-timeout", "10u"),
        ("x-envoy-expected-rq-timeout-ms", "0.01"),
        ("x-request-timeout-seconds", "0.00001"),
    ],
)
def test_deadlines_of_other_conventions_count_as_latency_budgets(
    service: HttpService, header: str, value: str
) -> None:
    answer = service.infer(**{header: value, "X-Latency-Budget-Ms": "500"}).json()
    assert answer["receipt"]["budget"]["latency"]["asked_ms"] == pytest.approx(0.01)


def test_a_strict_budget_that_nothing_keeps_states_the_least_it_could_be(
    service: HttpService,
) -> None:
    response = service.infer(X_Energy_Budget_mJ="0.01", Prefer="handling=strict")
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"] == "urn:sentryfuse:problem:impossible-budget"
    assert problem["budget"] == "energy"
    assert problem["asked_mj"] == pytest.approx(0.01)
    assert problem["least_possible_mj"] > 0.05


def test_a_strict_latency_budget_that_nothing_keeps_is_refused_too(service: HttpService) -> None:
    response = service.infer(X_Latency_Budget_Ms="0.01", Prefer="handling=strict")
    assert response.status_code == 422
    assert response.json()["least_possible_ms"] > 0.01


def test_a_strict_budget_that_fits_is_served(service: HttpService) -> None:
    response = service.infer(X_Latency_Budget_Ms="60000", Prefer="handling=strict")
    assert chosen(response) == 0.0
    assert response.headers["preference-applied"] == "handling=strict"
    assert response.headers["sentryfuse-budget-met"] == "true"


def test_an_accuracy_floor_outranks_an_energy_budget(service: HttpService) -> None:
    response = service.infer(X_Accuracy_Floor="0.89", X_Energy_Budget_mJ="0.01")
    assert chosen(response) == 0.0
    assert response.json()["plan"]["conceded"] == ["energy"]


def test_every_budget_is_in_the_receipt(service: HttpService) -> None:
    response = service.infer(
        X_Latency_Budget_Ms="60000",
        X_Energy_Budget_mJ="100000",
        X_Power_Budget_W="5000",
        X_Accuracy_Floor="0.1",
    )
    budget = response.json()["receipt"]["budget"]
    assert list(budget) == ["latency", "energy", "power", "accuracy"]
    assert all(spending["met"] for spending in budget.values())


def test_met_and_missed_budgets_are_counted(service: HttpService) -> None:
    name, labels = "sentryfuse_budget_total", {"kind": "latency", "outcome": "missed"}
    before = service.metric(name, **labels) or 0
    service.infer(X_Latency_Budget_Ms="0.01")
    assert service.metric(name, **labels) == before + 1


def test_refused_budgets_are_counted(service: HttpService) -> None:
    name, labels = "sentryfuse_budget_total", {"kind": "energy", "outcome": "refused"}
    before = service.metric(name, **labels) or 0
    service.infer(X_Energy_Budget_mJ="0.01", Prefer="handling=strict")
    assert service.metric(name, **labels) == before + 1


def test_a_fresh_service_plans_latency_by_its_profile(start_http: StartHttp) -> None:
    fresh = start_http()
    assert plan(fresh, X_Latency_Budget_Ms="100").json()["plan"]["ratio"] == 0.0
    assert plan(fresh, X_Latency_Budget_Ms="45").json()["plan"]["ratio"] == 0.5
    assert plan(fresh, X_Latency_Budget_Ms="20").json()["plan"]["ratio"] == 0.9


def test_a_variant_that_is_not_in_memory_is_built_and_then_kept(start_http: StartHttp) -> None:
    fresh = start_http()
    content = fresh.window("sensor_1", "sensor_2")
    first, second = fresh.infer(content).json(), fresh.infer(content).json()
    assert first["receipt"]["build_ms"] > 0
    assert second["receipt"]["build_ms"] == 0
    assert first["predictions"] == second["predictions"]


def test_what_a_new_presence_would_have_liked_is_built_for_those_that_follow(
    start_http: StartHttp,
) -> None:
    fresh = start_http()
    names, budget = ["sensor_1", "sensor_2"], {"X-Latency-Budget-Ms": "25"}
    planned = fresh.client.post("/v1/models/toy/plan", json={"present": names}, headers=budget)
    wish = planned.json()["plan"]["variant"]
    fresh.infer(fresh.window(*names), **budget)

    def in_memory() -> list[str]:
        variants = fresh.client.get("/v1/models/toy/variants").json()["variants"]
        return [variant["variant"] for variant in variants]

    deadline = time.monotonic() + 20
    while wish not in in_memory():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_nodes_cap_takes_smaller_variants_until_it_is_lifted(start_http: StartHttp) -> None:
    fresh = start_http()
    assert fresh.client.put("/v1/power", json={"cap_w": 3.12}).json()["cap_w"] == 3.12
    assert chosen(fresh.infer()) > 0
    assert fresh.metric("sentryfuse_power_cap_watts") == 3.12
    assert fresh.client.put("/v1/power", json={"cap_w": None}).json()["cap_w"] is None
    assert chosen(fresh.infer()) == 0.0


def test_a_cap_that_allows_nothing_is_not_ready_for_inference(start_http: StartHttp) -> None:
    fresh = start_http(power_cap_w=3.01)
    response = fresh.infer()
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert fresh.client.get("/health/live").status_code == 200


def test_under_the_nodes_cap_load_is_shed_with_the_time_to_come_back(
    start_http: StartHttp,
) -> None:
    # Enough for what the service itself draws, and for a few requests beside it.
    fresh = start_http(power_cap_w=3.3)
    time.sleep(3)  # getting ready takes power too: until that is over nothing is let through
    responses: list[httpx.Response] = []
    until_s = time.monotonic() + 30
    with ThreadPoolExecutor(max_workers=8) as threads:
        # One at a time may just be paid for; eight at once may not, however fast the machine is.
        while time.monotonic() < until_s and not {200, 429} <= {r.status_code for r in responses}:
            asked = range(16)
            responses += threads.map(lambda _: fresh.infer(X_Latency_Budget_Ms="150"), asked)
    statuses = {r.status_code for r in responses}
    assert {200, 429} <= statuses <= {200, 429, 504}, "504: too late on a slow machine"
    shed = next(r for r in responses if r.status_code == 429)
    assert shed.json()["reason"] == "power_cap"
    assert 1 <= int(shed.headers["retry-after"]) <= 10
    assert fresh.metric("sentryfuse_shed_total", reason="power_cap") >= 1


@pytest.mark.parametrize(("floor", "ratio"), [(None, 0.9), ("DENSE", 0.0)])
def test_who_prefers_the_least_energy_gets_the_cheapest_that_the_floor_allows(
    service: HttpService, floor: str | None, ratio: float
) -> None:
    dense = plan(service).json()["plan"]["expected"]["accuracy"]
    asked = {} if floor is None else {"X_Accuracy_Floor": f"{dense - 1e-4}"}
    response = service.infer(X_Latency_Budget_Ms="60000", Prefer="energy=least", **asked)
    assert chosen(response) == ratio
    assert response.headers["preference-applied"] == "energy=least"
    assert response.headers["sentryfuse-budget-met"] == "true"
    answer = response.json()
    assert "variant of least energy" in answer["plan"]["reason"]
    assert "energy" not in answer["receipt"]["budget"]
