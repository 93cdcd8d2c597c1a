"""A cascade over HTTP: small first, larger while unsure and within budget."""

from __future__ import annotations

from typing import Any

import pytest

from app.api import schemas
from tests.integration.http_server import HttpService, StartHttp

SURE, UNSURE = "0.0001", "0.9999"


def steps(answer: dict[str, Any]) -> list[str]:
    schemas.InferAnswer.model_validate(answer)
    return [step["variant"] for step in answer["receipt"]["cascade"]]


def test_without_the_header_there_is_no_cascade(service: HttpService) -> None:
    assert "cascade" not in service.infer().json()["receipt"]


def test_a_sure_answer_of_the_smallest_variant_stands(service: HttpService) -> None:
    answer = service.infer(SentryFuse_Cascade=SURE).json()
    assert steps(answer) == ["1f-900"]
    assert answer["plan"]["variant"] == "1f-900"


def test_an_unsure_answer_is_followed_by_one_of_a_larger_variant(service: HttpService) -> None:
    content = service.window()
    answer = service.infer(content, SentryFuse_Cascade=UNSURE).json()
    assert steps(answer) == ["1f-900", "1f-000"]
    assert answer["plan"]["variant"] == "1f-000"
    assert answer["predictions"] == service.infer(content).json()["predictions"]


def test_the_confidence_is_the_least_top_probability_of_the_windows(service: HttpService) -> None:
    answer = service.infer(service.window(batch=5), SentryFuse_Cascade=UNSURE).json()
    last = answer["receipt"]["cascade"][-1]
    least = min(prediction["probability"] for prediction in answer["predictions"])
    assert last["confidence"] == pytest.approx(least, abs=1e-6)


def test_the_receipt_adds_the_steps_up(service: HttpService) -> None:
    receipt = service.infer(SentryFuse_Cascade=UNSURE).json()["receipt"]
    first, second = receipt["cascade"]
    assert receipt["inference_ms"] == pytest.approx(
        first["inference_ms"] + second["inference_ms"], abs=0.001
    )
    assert receipt["energy_mj"] > first["energy_mj"] + second["energy_mj"]
    stages = ("parse_ms", "build_ms", "queue_ms", "batch_wait_ms", "inference_ms")
    assert sum(receipt[stage] for stage in stages) <= receipt["total_ms"] + 0.001


def test_an_energy_budget_holds_over_the_sum_of_the_steps(start_http: StartHttp) -> None:
    fresh = start_http()  # 50 mJ for the smallest, 100 and 200 for the others, says its profile
    answer = fresh.infer(SentryFuse_Cascade=UNSURE, X_Energy_Budget_mJ="60").json()
    assert steps(answer) == ["1f-900"]
    assert answer["receipt"]["met"]


def test_a_bad_confidence_is_refused_by_name(service: HttpService) -> None:
    problem = service.infer(SentryFuse_Cascade="1.5").json()
    assert problem["status"] == 400
    assert problem["header"] == "SentryFuse-Cascade"
