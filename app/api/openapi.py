"""The OpenAPI page's parts that FastAPI can't know: the hot path, and examples that work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api import schemas
from app.api.errors import PROBLEM_TYPE, PROBLEMS
from app.api.power_docs import power_body
from app.api.sample import sample_json
from sentryfuse.bundle import Bundle
from sentryfuse.spec import ModelSpec

_REFERENCE = "#/components/schemas/{model}"
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}


def _header(name: str, example: object, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": text,
        "schema": {"type": "string"} if isinstance(example, str) else {"type": "number"},
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
            "the best that can be done, marked as missed.",
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


def install(app: FastAPI, bundle: Bundle, *, default_model: str, idle_power_w: float) -> None:
    """Let the app describe itself; made when first asked for.

    Args:
        app: The app, with every route in place.
        bundle: The default model, which the examples are for.
        default_model: Its name.
        idle_power_w: The least that a power cap can be.
    """

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = _describe(app, bundle)
            paths = document["paths"]
            paths["/v1/models/{model}/plan"]["post"].update(_plan_request(bundle.spec))
            paths["/v1/power"]["put"].update(_power_request(idle_power_w))
            _name_the_model(paths, default_model)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI, bundle: Bundle) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(schemas.InferAnswer, "serialization"), (schemas.ProblemDetails, "serialization")],
        ref_template=_REFERENCE,
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(definitions["$defs"])
    paths = document["paths"]
    infer = _infer_operation(bundle)
    paths["/v1/infer"] = {"post": {**infer, "operationId": "infer_default"}}
    paths["/v1/models/{model}/infer"] = {
        "post": {
            **infer,
            "parameters": [dict(_MODEL), *infer["parameters"]],
            "operationId": "infer",
        }
    }
    return document


def _name_the_model(paths: dict[str, Any], default_model: str) -> None:
    for path in paths.values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "model":
                    parameter["example"] = default_model


def _plan_request(spec: ModelSpec) -> dict[str, Any]:
    names = list(spec.modality_names)
    schema = {
        "type": "object",
        "properties": {
            "present": {"type": "array", "items": {"enum": names}, "default": names},
            "batch": {"type": "integer", "minimum": 1, "default": 1},
        },
    }
    example = {"present": names[: max(1, len(names) - 2)], "batch": 1}
    answer = {"$ref": _REFERENCE.format(model="DryRun")}
    return {
        "parameters": [dict(_MODEL), *BUDGET_PARAMETERS],
        "requestBody": _json_body(schema, {"some sensors": example}),
        "responses": {
            "200": {
                "description": "What would be chosen, and from what",
                "content": {"application/json": {"schema": answer}},
            },
            **_problem_responses((400, 404, 413, 415, 422, 429, 503)),
        },
    }


def _power_request(idle_power_w: float) -> dict[str, Any]:
    answer = {"$ref": _REFERENCE.format(model="PowerInfo")}
    return {
        "requestBody": _json_body(*power_body(idle_power_w)),
        "responses": {
            "200": {
                "description": "Power of the node",
                "content": {"application/json": {"schema": answer}},
            },
            **_problem_responses((400, 401, 413, 415, 422)),
        },
    }


def _infer_operation(bundle: Bundle) -> dict[str, Any]:
    spec = bundle.spec
    window = {
        "type": ["array", "null"],
        "items": {"type": "array", "items": {"type": ["number", "array"]}},
    }
    properties = {
        m.name: {
            **window,
            "description": f"[{m.length}, {m.channels}] numbers, or [batch, {m.length}, "
            f"{m.channels}]; null or left out: absent",
        }
        for m in spec.modalities
    }
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                "minProperties": 1,
            },
            "id": {"type": "string", "description": "Comes back in the answer"},
        },
    }
    responses: dict[str, Any] = {
        "200": {
            "description": "The answer, with plan and receipt",
            "headers": {
                name: {"schema": {"type": "string"}, "description": text}
                for name, text in (
                    ("Server-Timing", "Milliseconds of each stage"),
                    ("SentryFuse-Variant", "The variant that answered"),
                    ("SentryFuse-Budget-Met", "true or false"),
                    ("X-Request-Id", "The caller's, or a new one"),
                )
            },
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/InferAnswer"}}
            },
        },
        **_problem_responses((400, 404, 413, 415, 422, 429, 503, 504)),
    }
    return {
        "tags": ["native"],
        "summary": "Classify the window of whatever sensors are alive, within a budget",
        "parameters": [*BUDGET_PARAMETERS, CASCADE_PARAMETER],
        "requestBody": _json_body(schema, _windows(bundle)),
        "responses": responses,
    }


def _windows(bundle: Bundle) -> dict[str, Any]:
    """Requests that work: one sensor, and all but two."""
    names = bundle.spec.modality_names
    inputs = _one_window(bundle)
    examples: dict[str, Any] = {f"only {names[0]}": {"inputs": {names[0]: inputs[names[0]]}}}
    if len(names) > 2:
        absent = names[-2:]
        examples[f"without {' and '.join(absent)}"] = {
            "inputs": {name: None if name in absent else inputs[name] for name in names},
            "id": "example-2",
        }
    return examples


def _one_window(bundle: Bundle) -> dict[str, Any]:
    if bundle.simulator_arrays:
        inputs: dict[str, Any] = sample_json(bundle, label=None, missing="", seed=0)["inputs"]
        return inputs
    return {
        m.name: np.tile(bundle.normalisation[m.name].mean, (m.length, 1)).round(3).tolist()
        for m in bundle.spec.modalities
    }


def _json_body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples.items()}
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": named}},
    }


def _problem_responses(statuses: Sequence[int]) -> dict[str, Any]:
    """Describe the errors of an operation."""
    titles: dict[int, list[str]] = {status: [] for status in statuses}
    for problem in PROBLEMS.values():
        if problem.status in titles:
            titles[problem.status].append(problem.title)
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        str(status): {
            "description": "; ".join(titles[status]),
            "content": {PROBLEM_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
