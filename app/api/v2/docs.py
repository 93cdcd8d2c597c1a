"""Inference over the Open Inference Protocol as the OpenAPI page shows it."""

from __future__ import annotations

from typing import Any

from app.api.documented import (
    BUDGET_PARAMETERS,
    CASCADE_PARAMETER,
    MODEL,
    REFERENCE,
    VERSION,
    one_window,
    problem_responses,
)
from app.api.v2.decoding import LENGTH_HEADER
from app.protocol.assembly import MAX_ID_LENGTH
from app.protocol.outputs import OUTPUTS
from app.protocol.tensors import NUMBERS
from sentryfuse.bundle import Bundle
from sentryfuse.spec import ModelSpec

_SCALAR = {"type": ["string", "number", "boolean"]}
_PARAMETERS = {"type": ["object", "null"], "additionalProperties": _SCALAR}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0}
_BUDGETS = {
    "latency_budget_ms": _POSITIVE,
    "energy_budget_mj": _POSITIVE,
    "power_budget_w": _POSITIVE,
    "accuracy_floor": {**_POSITIVE, "maximum": 1},
    "timeout": {"type": "integer", "minimum": 0, "description": "Microseconds; 0 for none"},
    "handling": {"enum": ["strict", "lenient"]},
    "energy": {"enum": ["least"]},
    "cascade": {**_POSITIVE, "exclusiveMaximum": 1},
    "binary_data_output": {"type": "boolean"},
}
_TEXT = (
    "Each modality is an input; one that is absent is left out. Data come as JSON, nested or flat, "
    "or as bytes behind the JSON (binary tensor extension), whose length the header "
    f"{LENGTH_HEADER} states. Budgets may come as headers or as "
    "parameters; the stricter counts. Plan and receipt come back as parameters, unless "
    "`Prefer: return=minimal` is sent."
)


def infer_paths(bundle: Bundle) -> dict[str, Any]:
    """Describe the two ways to infer, for the examples with this bundle."""
    operation = _operation(bundle)
    headers = operation.pop("parameters")
    return {
        path: {
            "post": {
                **operation,
                "parameters": [*(dict(name) for name in names), *headers],
                "operationId": operation_id,
            }
        }
        for path, names, operation_id in (
            ("/v2/models/{model}/infer", (MODEL,), "v2_infer"),
            ("/v2/models/{model}/versions/{version}/infer", (MODEL, VERSION), "v2_infer_version"),
        )
    }


def _operation(bundle: Bundle) -> dict[str, Any]:
    raw = {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": f"JSON, as many bytes as the header {LENGTH_HEADER} says, then tensors.",
        }
    }
    examples = {name: {"value": value} for name, value in _examples(bundle).items()}
    answer = {"$ref": REFERENCE.format(model="InferResponse")}
    errors = (400, 404, 413, 415, 422, 429, 503, 504)
    return {
        "tags": ["open inference protocol"],
        "summary": "Classify the window of whatever sensors are alive, within a budget",
        "description": _TEXT,
        "parameters": [*BUDGET_PARAMETERS, CASCADE_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _request_schema(bundle.spec), "examples": examples},
                "application/octet-stream": raw,
            },
        },
        "responses": {
            "200": {
                "description": "Output tensors, with plan and receipt",
                "headers": {
                    LENGTH_HEADER: {
                        "schema": {"type": "integer"},
                        "description": "Bytes of JSON in front of the outputs that are binary",
                    }
                },
                "content": {
                    "application/json": {"schema": answer},
                    "application/octet-stream": raw,
                },
            },
            **problem_responses(errors, model="OpenError", media_type="application/json"),
        },
    }


def _request_schema(spec: ModelSpec) -> dict[str, Any]:
    shape = {"type": "array", "items": {"type": "integer", "minimum": 1}}
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"enum": list(spec.modality_names)},
            "datatype": {"enum": list(NUMBERS)},
            "shape": {**shape, "minItems": 2, "maxItems": 3},
            "data": {"type": "array", "items": {"type": ["number", "array"]}},
            "parameters": {**_PARAMETERS, "properties": {"binary_data_size": {"type": "integer"}}},
        },
    }
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": list(OUTPUTS)},
            "parameters": {
                **_PARAMETERS,
                "properties": {
                    "binary_data": {"type": "boolean"},
                    "classification": {"type": "integer", "minimum": 0},
                },
            },
        },
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"], "maxLength": MAX_ID_LENGTH},
            "parameters": {**_PARAMETERS, "properties": _BUDGETS},
            "inputs": {"type": "array", "minItems": 1, "items": tensor},
            "outputs": {"type": ["array", "null"], "items": output},
        },
    }


def _examples(bundle: Bundle) -> dict[str, Any]:
    """Requests that work: one sensor, and two with a budget."""
    windows = one_window(bundle)
    tensors = [
        {
            "name": m.name,
            "datatype": "FP32",
            "shape": [m.length, m.channels],
            "data": windows[m.name],
        }
        for m in bundle.spec.modalities
    ]
    names = bundle.spec.modality_names
    return {
        f"only {names[0]}": {"inputs": tensors[:1]},
        "within a budget": {
            "id": "example-1",
            "parameters": {"latency_budget_ms": 1000},
            "inputs": tensors[:2],
            "outputs": [{"name": "label"}],
        },
    }
