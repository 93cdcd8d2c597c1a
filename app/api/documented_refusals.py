"""What every operation may answer, whatever it does: described for all of them in one place."""

from __future__ import annotations

from typing import Any

from app.api.documented import problem_responses
from app.security import scope_of

_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key"},
    "key header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def describe_refusals(document: dict[str, Any], *, guarded: bool) -> None:
    """Complete the responses of every operation, and say what asks for a key.

    Args:
        document: An OpenAPI document, which is changed.
        guarded: Whether keys are asked for.
    """
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = scope_of(method.upper(), path)
            responses = operation["responses"]
            if _is_the_frameworks(responses.get("422")):
                del responses["422"]
            statuses = _statuses(path, operation, guarded_by=scope)
            responses.update({**_problems(path, statuses), **responses})
            if guarded and scope is not None:
                operation["security"] = [{name: []} for name in _SCHEMES]
    schemas = document["components"]["schemas"]
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    if guarded:
        document["components"]["securitySchemes"] = _SCHEMES


def _statuses(path: str, operation: dict[str, Any], *, guarded_by: str | None) -> list[int]:
    parameters = operation.get("parameters", ())
    statuses = [414, 431]
    if "requestBody" in operation:
        statuses.append(408)
    if "{model}" in path:
        statuses.append(404)
    if any(parameter["in"] == "query" for parameter in parameters):
        statuses.append(422)
    if guarded_by is not None:
        statuses += [401, 403, 429]
    return sorted(statuses)


def _problems(path: str, statuses: list[int]) -> dict[str, Any]:
    if path.startswith("/v2"):
        return problem_responses(statuses, model="OpenError", media_type="application/json")
    return problem_responses(statuses)


def _is_the_frameworks(response: dict[str, Any] | None) -> bool:
    """Whether a response is the framework's own idea of how a bad parameter is answered."""
    schemas = [media.get("schema", {}) for media in (response or {}).get("content", {}).values()]
    return any(schema.get("$ref", "").endswith(_FRAMEWORK_SCHEMAS) for schema in schemas)
