"""The model repository extension of the Open Inference Protocol: index, load, unload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from app.api.body import read_body
from app.api.documented import problem_responses
from app.api.payload import load_json
from app.api.v2 import schemas
from app.errors import NotReadyError, WrongFieldError
from app.inference.control import ModelControl
from app.protocol import diagnosis
from app.protocol.repository import version_to_load, version_to_unload
from app.running.lifecycle import Lifecycle

_RETRY_S = 5.0
_VERSION = {
    "type": ["string", "null"],
    "description": "Only this version, beside those that are served",
}
_DEPENDENTS = {"type": "boolean", "description": "Read and ignored: no model has dependents"}


class RepositoryApi:
    """Says what is stored, and changes what is served.

    Args:
        control: Loads and unloads.
        lifecycle: Knows whether the service is about to end.
        max_body_bytes: Longest body that is read.
    """

    def __init__(self, control: ModelControl, lifecycle: Lifecycle, *, max_body_bytes: int) -> None:
        self._control = control
        self._lifecycle = lifecycle
        self._max_body_bytes = max_body_bytes

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v2/repository", tags=["open inference protocol"])
        router.add_api_route(
            "/index",
            self.index,
            methods=["POST"],
            response_model=list[schemas.IndexEntry],
            responses=_errors(400, 413, 415, 422),
            openapi_extra=_body({"ready": {"type": "boolean", "default": False}}),
        )
        for name, call, properties in (
            ("load", self.load, {"version": _VERSION}),
            ("unload", self.unload, {"version": _VERSION, "unload_dependents": _DEPENDENTS}),
        ):
            parameters = {"type": "object", "properties": properties, "additionalProperties": False}
            router.add_api_route(
                f"/models/{{model}}/{name}",
                call,
                methods=["POST"],
                response_model=schemas.Changed,
                responses=_errors(400, 404, 413, 415, 422, 503),
                openapi_extra=_body({"parameters": parameters}),
            )
        return router

    async def index(self, request: Request) -> list[dict[str, Any]]:
        """List every version of every model that is stored or served."""
        content = await self._content(request)
        ready = content.get("ready", False)
        if not isinstance(ready, bool):
            raise WrongFieldError(
                f"ready must be true or false, got {diagnosis.kind(ready)}", field="ready"
            )
        states = await self._control.index()
        return [asdict(state) for state in states if not ready or state.state == "READY"]

    async def load(self, model: str, request: Request) -> dict[str, Any]:
        """Serve what is stored now under a name, once it is ready; what is bad changes nothing."""
        content = await self._content(request)
        version = version_to_load(_parameters(content))
        self._check_not_ending()
        versions = await self._control.load(model, version)
        return {"name": model, "versions": versions}

    async def unload(self, model: str, request: Request) -> dict[str, Any]:
        """Serve a model no more; requests that have it are finished."""
        content = await self._content(request)
        version = version_to_unload(_parameters(content))
        versions = await self._control.unload(model, version)
        return {"name": model, "versions": versions}

    def _check_not_ending(self) -> None:
        if self._lifecycle.phase == "draining":
            raise NotReadyError("the service was told to end", retry_after_s=_RETRY_S)

    async def _content(self, request: Request) -> dict[str, Any]:
        """Read a JSON object or nothing at all; clients do not say of which type it is."""
        body = await read_body(
            request.scope["headers"], request.receive, limit=self._max_body_bytes
        )
        content = load_json(body) if body.strip() else {}
        if not isinstance(content, dict):
            raise WrongFieldError(
                f"the body must be a JSON object, got {diagnosis.kind(content)}", field="body"
            )
        return content


def _parameters(content: Mapping[str, Any]) -> dict[str, Any]:
    parameters = content.get("parameters", {})
    if not isinstance(parameters, dict):
        raise WrongFieldError(
            f"parameters must be an object, got {diagnosis.kind(parameters)}", field="parameters"
        )
    return parameters


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    described = problem_responses(statuses, model="OpenError", media_type="application/json")
    return dict(described.items())


def _body(properties: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    examples: dict[str, Any] = {"nothing in particular": {"value": {}}}
    return {
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        }
    }
