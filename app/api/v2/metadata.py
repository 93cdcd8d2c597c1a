"""Metadata in the Open Inference Protocol, and the routes of all under /v2 that only reads."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.api.v2 import schemas
from app.api.v2.health import OpenHealthApi, answer
from app.protocol.metadata import EXTENSIONS, SERVER_NAME, model_metadata
from app.running.lifecycle import Lifecycle
from app.service import InferenceService


class OpenMetadataApi:
    """Everything under /v2 that only reads.

    Args:
        lifecycle: Knows the phase of the service.
        service: What is described.
        version: Of the service.
        health: Its probes.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        service: InferenceService,
        version: str,
        health: OpenHealthApi,
    ) -> None:
        self._lifecycle = lifecycle
        self._service = service
        self._version = version
        self._health = health

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/v2", tags=["open inference protocol"])
        add = router.add_api_route
        no_model: dict[int | str, dict[str, Any]] = {404: schemas.error("Unknown model or version")}
        not_ready: dict[int | str, dict[str, Any]] = {
            503: {"description": "Not yet, or no more", "model": schemas.ModelReady}
        }
        add("", self.server, response_model=schemas.ServerMetadata)
        add(
            "/health/live",
            self._health.live,
            response_model=schemas.ServerLive,
            responses={503: {"description": "Only a restart helps", "model": schemas.ServerLive}},
        )
        add(
            "/health/ready",
            self._health.ready,
            response_model=schemas.ServerReady,
            responses={503: {"description": "Not yet, or no more", "model": schemas.ServerReady}},
        )
        for path, describe, ready in (
            ("/models/{model}", self.model, self.model_ready),
            ("/models/{model}/versions/{version}", self.version, self.version_ready),
        ):
            add(path, describe, response_model=schemas.ModelMetadata, responses=no_model)
            add(
                f"{path}/ready",
                ready,
                response_model=schemas.ModelReady,
                responses={**no_model, **not_ready},
            )
        return router

    async def server(self) -> dict[str, Any]:
        """Say what this server is."""
        return {"name": SERVER_NAME, "version": self._version, "extensions": EXTENSIONS}

    async def model(self, model: str) -> dict[str, Any]:
        """Say what a model takes and answers, and in which versions there is one."""
        return self._metadata(model, None)

    async def version(self, model: str, version: str) -> dict[str, Any]:
        """Say what one version of a model takes and answers."""
        return self._metadata(model, version)

    async def model_ready(self, model: str) -> Response:
        """Say whether a model can be asked."""
        return self._model_ready(model, None)

    async def version_ready(self, model: str, version: str) -> Response:
        """Say whether one version of a model can be asked."""
        return self._model_ready(model, version)

    def _metadata(self, name: str, version: str | None) -> dict[str, Any]:
        served = self._service.model(name, version)
        versions = [other.version for other in self._service.models.versions(name)]
        return asdict(model_metadata(name, versions, served.spec))

    def _model_ready(self, name: str, version: str | None) -> Response:
        ready = self._service.model(name, version).warm and self._lifecycle.phase != "draining"
        return answer({"name": name, "ready": ready}, good=ready)
