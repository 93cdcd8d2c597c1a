"""docs/service.md names everything that a gateway's developer has to know by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.api.documented import BUDGET_PARAMETERS, CASCADE_PARAMETER
from app.api.errors import PROBLEMS, Problem

PAGE = Path("docs/service.md").read_text(encoding="utf-8")
NOT_HERE = {"unknown-service": "of gRPC alone"}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.slug)
def test_every_problem_is_listed_with_its_status(problem: Problem) -> None:
    if problem.slug in NOT_HERE:
        return
    rows = [row for row in PAGE.splitlines() if row.startswith("|") and f"`{problem.slug}`" in row]
    assert any(str(problem.status) in row for row in rows)


@pytest.mark.parametrize("parameter", [*BUDGET_PARAMETERS, CASCADE_PARAMETER])
def test_every_request_header_of_inference_is_listed(parameter: dict[str, str]) -> None:
    assert f"`{parameter['name']}" in PAGE
