"""The OpenAPI page's parts that FastAPI can't know: the hot path, and examples that work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from app.api import schemas
from app.api.documented import (
    BUDGET_PARAMETERS,
    CASCADE_PARAMETER,
    MODEL,
    REFERENCE,
    VERSION,
    json_body,
    one_window,
    problem_responses,
)
from app.api.documented_refusals import describe_refusals
from app.api.power_docs import power_body
from app.api.v2 import docs as v2_docs
from app.api.v2 import schemas as v2_schemas
from app.inference.catalogue import Catalogue
from app.protocol.assembly import MAX_ID_LENGTH
from app.protocol.diagnosis import FLOAT32_LIMIT
from sentryfuse.bundle import Bundle
from sentryfuse.spec import ModelSpec

_NAMED: Mapping[str, tuple[dict[str, Any], ...]] = {
    "/v1/models/{model}": (MODEL,),
    "/v1/models/{model}/versions/{version}": (MODEL, VERSION),
}


def install(
    app: FastAPI,
    models: Catalogue,
    *,
    default_model: str,
    idle_power_w: float,
    max_batch: int,
    guarded: bool,
) -> None:
    """Let the app describe itself; made when asked for, and again when the example has changed.

    Args:
        app: The app, with every route in place.
        models: What is served.
        default_model: Name of the one that the examples are for, while it is served.
        idle_power_w: The least that a power cap can be.
        max_batch: Most windows in one request.
        guarded: Whether API keys are asked for.
    """
    described = ""

    def describe() -> dict[str, Any]:
        nonlocal described
        name = next((n for n in (default_model, *models.names) if n in models), None)
        if app.openapi_schema is None or name is not None:
            model = models.find(name or default_model)
            if described != model.bundle.digest:
                described = model.bundle.digest
                document = app.openapi_schema = _describe(app, model.bundle)
                paths = document["paths"]
                for path, named in _NAMED.items():
                    plan = paths[f"{path}/plan"]["post"]
                    plan.update(_plan_request(model.spec, named, max_batch))
                paths["/v1/power"]["put"].update(_power_request(idle_power_w))
                describe_refusals(document, guarded=guarded)
                _name_the_model(paths, {"model": model.name, "version": model.version})
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _describe(app: FastAPI, bundle: Bundle) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, definitions = models_json_schema(
        [
            (schemas.InferAnswer, "serialization"),
            (schemas.ProblemDetails, "serialization"),
            (v2_schemas.InferResponse, "serialization"),
            (v2_schemas.OpenError, "serialization"),
        ],
        ref_template=REFERENCE,
    )
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components.update(definitions["$defs"])
    paths = document["paths"]
    infer = _infer_operation(bundle)
    paths["/v1/infer"] = {"post": {**infer, "operationId": "infer_default"}}
    for path, named in _NAMED.items():
        parameters = [*(dict(name) for name in named), *infer["parameters"]]
        operation_id = "_".join(("infer", *(name["name"] for name in named[1:])))
        paths[f"{path}/infer"] = {
            "post": {**infer, "parameters": parameters, "operationId": operation_id}
        }
    paths.update(v2_docs.infer_paths(bundle))
    return document


def _name_the_model(paths: dict[str, Any], names: dict[str, str]) -> None:
    for path in paths.values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in names and parameter["in"] == "path":
                    parameter["example"] = names[parameter["name"]]


def _plan_request(
    spec: ModelSpec, named: Sequence[dict[str, Any]], max_batch: int
) -> dict[str, Any]:
    names = list(spec.modality_names)
    schema = {
        "type": "object",
        "properties": {
            "present": {
                "type": "array",
                "items": {"enum": names},
                "minItems": 1,
                "default": names,
            },
            "batch": {"type": "integer", "minimum": 1, "maximum": max_batch, "default": 1},
        },
    }
    example = {"present": names[: max(1, len(names) - 2)], "batch": 1}
    answer = {"$ref": REFERENCE.format(model="DryRun")}
    return {
        "parameters": [*(dict(name) for name in named), *BUDGET_PARAMETERS],
        "requestBody": json_body(schema, {"some sensors": example}),
        "responses": {
            "200": {
                "description": "What would be chosen, and from what",
                "content": {"application/json": {"schema": answer}},
            },
            **problem_responses((400, 404, 413, 415, 422, 429, 503)),
        },
    }


def _power_request(idle_power_w: float) -> dict[str, Any]:
    answer = {"$ref": REFERENCE.format(model="PowerInfo")}
    return {
        "requestBody": json_body(*power_body(idle_power_w)),
        "responses": {
            "200": {
                "description": "Power of the node",
                "content": {"application/json": {"schema": answer}},
            },
            **problem_responses((400, 401, 413, 415, 422)),
        },
    }


def _infer_operation(bundle: Bundle) -> dict[str, Any]:
    spec = bundle.spec
    properties = {
        m.name: {
            "anyOf": _window_schemas(m.length, m.channels),
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
            "id": {
                "type": ["string", "null"],
                "maxLength": MAX_ID_LENGTH,
                "description": "Comes back in the answer",
            },
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
        **problem_responses((400, 404, 413, 415, 422, 429, 503, 504)),
    }
    return {
        "tags": ["native"],
        "summary": "Classify the window of whatever sensors are alive, within a budget",
        "parameters": [*BUDGET_PARAMETERS, CASCADE_PARAMETER],
        "requestBody": json_body(schema, _windows(bundle)),
        "responses": responses,
    }


def _window_schemas(length: int, channels: int) -> list[dict[str, Any]]:
    """One window, several, or none."""

    def array(items: dict[str, Any], size: int) -> dict[str, Any]:
        return {"type": "array", "items": items, "minItems": size, "maxItems": size}

    number = {
        "type": "number",
        "exclusiveMinimum": -FLOAT32_LIMIT,
        "exclusiveMaximum": FLOAT32_LIMIT,
    }
    window = array(array(number, channels), length)
    return [window, {"type": "array", "items": window, "minItems": 1}, {"type": "null"}]


def _windows(bundle: Bundle) -> dict[str, Any]:
    """Requests that work: one sensor, and all but two."""
    names = bundle.spec.modality_names
    inputs = one_window(bundle)
    examples: dict[str, Any] = {f"only {names[0]}": {"inputs": {names[0]: inputs[names[0]]}}}
    if len(names) > 2:
        absent = names[-2:]
        examples[f"without {' and '.join(absent)}"] = {
            "inputs": {name: None if name in absent else inputs[name] for name in names},
            "id": "example-2",
        }
    return examples
