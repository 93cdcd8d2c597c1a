"""What the descriptions of several operations share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.api.errors import PROBLEM_TYPE, PROBLEMS
from app.api.sample import sample_json
from sentryfuse.bundle import Bundle

REFERENCE = "#/components/schemas/{model}"
MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
VERSION = {**MODEL, "name": "version"}


_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "Prefer": {"type": "string"},
    "X-Accuracy-Floor": {**_POSITIVE, "maximum": 1},
    "SentryFuse-Cascade": {**_POSITIVE, "exclusiveMaximum": 1},
}


def _header(name: str, example: object, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": _SCHEMAS.get(name, _POSITIVE),
        "example": example,
    }


BUDGET_PARAMETERS: tuple[dict[str, Any], ...] = tuple(
    _header(name, example, text)
    for name, example, text in (
        (
            "X-Latency-Budget-Ms",
            5,
            "From the last byte of the request read to the first byte of the answer written. "
            "`grpc-timeout`, `x-envoy-expected-rq-timeout-ms` and `x-request-timeout-seconds` "
            "are read too; the smallest wins.",
        ),
        ("X-Energy-Budget-mJ", 50, "Active energy of this request, idle power excluded."),
        (
            "X-Power-Budget-W",
            10,
            "Mean power of the node while this stream is served: idle power plus requests per "
            "second (at least one) times energy per request.",
        ),
        ("X-Accuracy-Floor", 0.5, "Lowest expected accuracy accepted, above 0 and at most 1."),
        (
            "Prefer",
            "handling=lenient",
            "`handling=strict`: fail rather than miss a budget. `handling=lenient` (default): "
            "the best that can be done, marked as missed. `energy=least`: the least energy that "
            "floor and budgets allow, rather than the most accuracy. `return=minimal`: without "
            "plan and receipt, which takes less time on both sides.",
        ),
    )
)
CASCADE_PARAMETER = _header(
    "SentryFuse-Cascade",
    0.9,
    "Off unless sent; above 0 and below 1. The smallest variant in memory answers first; while its "
    "top probability is lower than this and the budget allows, a larger one is asked. Budgets hold "
    "over the sum.",
)


def one_window(bundle: Bundle) -> dict[str, Any]:
    """Draw a window of every modality, as rows of numbers."""
    if bundle.simulator_arrays:
        inputs: dict[str, Any] = sample_json(bundle, label=None, missing="", seed=0)["inputs"]
        return inputs
    return {
        m.name: np.tile(bundle.normalisation[m.name].mean, (m.length, 1)).round(3).tolist()
        for m in bundle.spec.modalities
    }


def json_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """Describe a body of JSON."""
    named = {name: {"value": value} for name, value in examples.items()}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": named}},
    }


def problem_responses(
    statuses: Sequence[int], *, model: str = "ProblemDetails", media_type: str = PROBLEM_TYPE
) -> dict[str, Any]:
    """Describe the errors of an operation."""
    titles: dict[int, list[str]] = {status: [] for status in statuses}
    for problem in PROBLEMS.values():
        if problem.status in titles:
            titles[problem.status].append(problem.title)
    schema = {"$ref": REFERENCE.format(model=model)}
    return {
        str(status): {
            "description": "; ".join(titles[status]),
            "content": {media_type: {"schema": schema}},
        }
        for status in statuses
    }
