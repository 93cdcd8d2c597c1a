"""Where streams are opened: the handshake, and the books of those that are open."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.api.errors import refuse
from app.api.stream.channel import Channel
from app.api.stream.limits import StreamLimits
from app.api.stream.session import StreamSession
from app.api.stream.terms import Asked, StreamTerms, read_terms
from app.errors import NotReadyError, RequestError, ShedError
from app.running.lifecycle import Lifecycle
from app.service import InferenceService
from app.settings import Settings
from app.telemetry.streams import StreamMeters

logger = logging.getLogger(__name__)

_RETRY_S = 1.0
_PATHS = (
    "/v1/stream",
    "/v1/models/{model}/stream",
    "/v1/models/{model}/versions/{version}/stream",
)


class Streams:
    """The streams that are open, of all models.

    Args:
        meters: Metrics of them.
        most: Most at once.
    """

    def __init__(self, meters: StreamMeters, *, most: int) -> None:
        self.meters = meters
        self._most = most
        self._open: set[StreamSession] = set()

    def check_room(self) -> None:
        """Refuse one too many.

        Raises:
            ShedError: So many are open.
        """
        if len(self._open) >= self._most:
            raise ShedError(
                f"{self._most} streams are open, which is the limit",
                reason="streams",
                retry_after_s=_RETRY_S,
            )

    @contextmanager
    def holding(self, session: StreamSession) -> Iterator[None]:
        """Count a stream while it runs."""
        self._open.add(session)
        self.meters.open.set(len(self._open))
        try:
            yield
        finally:
            self._open.discard(session)
            self.meters.open.set(len(self._open))


class StreamEndpoint:
    """Opens streams.

    Args:
        path: The route.
        service: Answers their windows.
        lifecycle: Says when it is too late to open one.
        streams: The books.
        limits: Of each stream.
        default_model: Asked when the route names none.
    """

    def __init__(
        self,
        path: str,
        service: InferenceService,
        lifecycle: Lifecycle,
        streams: Streams,
        *,
        limits: StreamLimits,
        default_model: str,
    ) -> None:
        self.path = path
        self._service = service
        self._lifecycle = lifecycle
        self._streams = streams
        self._limits = limits
        self._default_model = default_model

    def route(self) -> WebSocketRoute:
        """The route that leads here."""
        return WebSocketRoute(self.path, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream."""
        await receive()  # that it was asked for
        try:
            asked, terms = self._admit(scope)
        except RequestError as error:
            await refuse(error, scope["path"])(scope, receive, send)
            return
        await send({"type": "websocket.accept"})
        await self._serve(scope, asked, terms, Channel(receive, send))

    def _admit(self, scope: Scope) -> tuple[Asked, StreamTerms]:
        params = scope["path_params"]
        name, version = params.get("model", self._default_model), params.get("version")
        model = self._service.model(name, version)
        terms = read_terms(scope["query_string"], scope["headers"], model.spec)
        if self._lifecycle.phase == "draining":
            raise NotReadyError("the service was told to end", retry_after_s=_RETRY_S)
        if not model.warm:
            raise NotReadyError(f"model {model.name} is getting ready", retry_after_s=_RETRY_S)
        self._streams.check_room()
        asked = Asked(name=name, version=version, served=model.version, spec=model.spec)
        return asked, terms

    async def _serve(
        self, scope: Scope, asked: Asked, terms: StreamTerms, channel: Channel
    ) -> None:
        began_s = time.perf_counter()
        session = StreamSession(
            self._service,
            asked,
            terms=terms,
            limits=self._limits,
            channel=channel,
            meters=self._streams.meters,
        )
        facts: dict[str, object] = {"path": scope["path"], "model": asked.name}
        if "principal" in scope:
            facts["principal"] = scope["principal"]
        logger.info("stream opened", extra={"facts": {**facts, "hop_s": terms.hop_s}})
        with self._streams.holding(session):
            close = await session.run()
            if not close.by_client:
                await channel.close(close)
        self._streams.meters.ended(close.code, by_client=close.by_client)
        facts |= {
            "code": close.code,
            "reason": close.reason,
            "windows": session.windows,
            "duration_ms": round(1e3 * (time.perf_counter() - began_s), 3),
        }
        logger.info("stream closed", extra={"facts": facts})


def stream_routes(
    service: InferenceService, lifecycle: Lifecycle, settings: Settings, *, default_model: str
) -> list[WebSocketRoute]:
    """Return the routes that streams are opened at."""
    meters = StreamMeters(service.metrics.registry)
    streams = Streams(meters, most=settings.max_streams)
    limits = StreamLimits.of(settings)
    return [
        StreamEndpoint(
            path, service, lifecycle, streams, limits=limits, default_model=default_model
        ).route()
        for path in _PATHS
    ]
