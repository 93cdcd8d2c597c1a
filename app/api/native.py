"""The native API beside infer: models, variants, dry runs and samples."""

from __future__ import annotations

import gzip
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.api import schemas
from app.api.assets import accepts_gzip
from app.api.body import read_object
from app.api.sample import sample_json
from app.errors import WrongFieldError
from app.inference.control import ModelControl
from app.inference.model import ServedModel
from app.protocol.budgets import parse_budget
from app.protocol.render import card_json, option_json, plan_json
from app.service import InferenceService
from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence

_BATCHES = (1, 4, 16)


class NativeApi:
    """Everything under /v1/models but inference itself.

    Args:
        service: What is described.
        control: Knows what is stored beside what is served.
        default_model: Name of the model behind /v1/infer.
        max_batch: Most windows in one request.
        max_body_bytes: Longest body that is read.
    """

    def __init__(
        self,
        service: InferenceService,
        control: ModelControl,
        *,
        default_model: str,
        max_batch: int,
        max_body_bytes: int,
    ) -> None:
        self._service = service
        self._control = control
        self._default_model = default_model
        self._max_batch = max_batch
        self._max_body_bytes = max_body_bytes

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["native"])
        router.add_api_route("/v1/models", self.models, response_model=schemas.ModelList)
        for path, declared in (
            ("/v1/models/{model}", _any_version),
            ("/v1/models/{model}/versions/{version}", _one_version),
        ):
            named = APIRouter(prefix=path, dependencies=[Depends(declared)])
            add = named.add_api_route
            add("", self.details, response_model=schemas.ModelDetails)
            add("/variants", self.variants, response_model=schemas.VariantList)
            add("/plan", self.plan, methods=["POST"], response_model=schemas.DryRun)
            add("/sample", self.sample, response_class=Response)
            router.include_router(named)
        return router

    async def models(self) -> dict[str, Any]:
        """List every model that is served, with the versions that are stored or served."""
        states = await self._control.index()
        models = self._service.models
        return {
            "models": [
                {
                    **self._summary(models.find(name)),
                    "versions": [
                        {"version": s.version, "state": s.state, "reason": s.reason}
                        for s in states
                        if s.name == name
                    ],
                }
                for name in models.names
            ]
        }

    async def details(self, request: Request) -> dict[str, Any]:
        """Say what a model takes and answers."""
        served = self._asked(request)
        return {
            **self._summary(served),
            "task": served.spec.task.name,
            "digest": served.bundle.digest,
            "modalities": [
                {
                    "name": m.name,
                    "shape": (m.length, m.channels),
                    "rate_hz": m.rate_hz,
                    "unit": m.unit,
                    "channel_names": m.channel_names,
                    "gaps": m.gaps,
                }
                for m in served.spec.modalities
            ],
            "classes": served.spec.task.class_names,
            "ratios": [p / 1000 for p in served.permilles],
            "max_batch": self._max_batch,
            "licence": served.bundle.licence,
        }

    async def variants(self, request: Request) -> dict[str, Any]:
        """List the variants in memory with their cards."""
        served = self._asked(request)
        cards = [held.variant.card for held in served.registry]
        cards.sort(key=lambda card: (card.presence.num_missing, card.presence.bits, card.permille))
        rows = []
        for card in cards:
            lineup = await served.lineup(card.presence)
            by_batch = {b: lineup.options(b) for b in _BATCHES}
            own = {
                str(b): next(o for o in options if o.permille == card.permille)
                for b, options in by_batch.items()
            }
            rows.append(
                {
                    **card_json(card, served.spec.modality_names),
                    "latency_ms": {b: round(1e3 * o.latency_s, 4) for b, o in own.items()},
                    "energy_mj": {b: round(1e3 * o.energy_j, 4) for b, o in own.items()},
                }
            )
        return {"model": served.name, "variants": rows}

    async def plan(self, request: Request) -> dict[str, Any]:
        """Say which variant a request with these sensors and budget headers would get, and why.

        The variant is taken to be in memory; `in_memory` says which ones are.
        """
        served = self._asked(request)
        wanted = parse_budget(request.scope["headers"])
        content = await read_object(request, limit=self._max_body_bytes)
        presence = _presence(content, served)
        batch = self._batch(content)
        plan, options = await self._service.plan(served, presence, batch, wanted.budget)
        in_memory = (await served.lineup(presence)).residents
        return {
            "plan": plan_json(plan, presence, served.spec.modality_names),
            "options": [
                option_json(option, presence, in_memory=option.permille in in_memory)
                for option in options
            ],
        }

    async def sample(
        self,
        request: Request,
        label: Annotated[str | None, Query(description="Class to look like, by name")] = None,
        missing: Annotated[str, Query(description="Sensors to leave out, comma-separated")] = "",
        seed: Annotated[int, Query(ge=0, lt=2**32, description="Same seed, same window")] = 0,
    ) -> Response:
        """Draw a simulated window, ready to be posted to infer."""
        served = self._asked(request)
        content = orjson.dumps(sample_json(served.bundle, label=label, missing=missing, seed=seed))
        headers = {"SentryFuse-Simulated": "true", "Vary": "Accept-Encoding"}
        if accepts_gzip(request.headers):
            content = gzip.compress(content, compresslevel=6)
            headers["Content-Encoding"] = "gzip"
        return Response(content, media_type="application/json", headers=headers)

    def _asked(self, request: Request) -> ServedModel:
        """The model in the path. The request does not hold it: it may outlive its own answer."""
        named = request.path_params
        return self._service.model(named["model"], named.get("version"))

    def _summary(self, model: ServedModel) -> dict[str, Any]:
        return {
            "name": model.name,
            "version": model.version,
            "default": model.name == self._default_model,
            "ready": model.warm,
        }

    def _batch(self, content: dict[str, Any]) -> int:
        batch = content.get("batch", 1)
        if type(batch) is not int or not 1 <= batch <= self._max_batch:
            raise WrongFieldError(
                f"batch must be a whole number from 1 to {self._max_batch}", field="batch"
            )
        return batch


def _any_version(model: str) -> None:
    """Declare what is in the path, for the documentation."""


def _one_version(model: str, version: str) -> None:
    """Declare what is in the path, for the documentation."""


def _presence(content: dict[str, Any], model: ServedModel) -> Presence:
    names = model.spec.modality_names
    present = content.get("present", list(names))
    if not isinstance(present, list) or not all(isinstance(name, str) for name in present):
        raise WrongFieldError("present must be an array of modality names", field="present")
    try:
        return Presence.named(present, names)
    except ConfigError as error:
        raise WrongFieldError(str(error), field="present") from None
