"""The asynchronous client: the same operations, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from app.client.arrays import Inputs
from app.client.calls import Target, sample_query
from app.client.core import Surroundings
from app.client.endpoints import Endpoints
from app.client.http import base_url, default_headers, failure_of, timeout_of
from app.client.options import CallOptions, InferOptions, PlanOptions, StreamOptions
from app.client.retries import Retries
from app.client.stream import Stream, open_stream
from app.client.values import (
    Answer,
    DryRun,
    IndexEntry,
    ListedModel,
    ModelDetails,
    Power,
    Sample,
    Variant,
)
from app.client.wire import Outcome, Program, Reply, Send, T

_STREAM_HEADERS = ("authorization", "user-agent")


class AsyncClient:
    """Asks a SentryFuse service; for one event loop, and keeps connections open.

    Args:
        url: Where the service is.
        model: Asked when a call names none; None for the service's default model.
        api_key: Sent as bearer token.
        deadline_s: Time for each call that gives none, waits and retries included.
        retries: When a call is sent again.
        binary: Send tensors as bytes, over the Open Inference Protocol, rather than JSON.
        transport: Of httpx, for certificates, proxies or sockets of one's own.

    Raises:
        ValueError: The address is not one.
    """

    def __init__(
        self,
        url: str = "http://localhost:8080",
        *,
        model: str | None = None,
        api_key: str | None = None,
        deadline_s: float = 30.0,
        retries: Retries | None = None,
        binary: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url(url), headers=default_headers(api_key), transport=transport
        )
        self._endpoints = Endpoints(
            model=model,
            deadline_s=deadline_s,
            retries=retries or Retries(),
            binary=binary,
            surroundings=Surroundings(random=Random()),
        )

    async def infer(
        self,
        inputs: Inputs,
        *,
        model: str | None = None,
        version: str | None = None,
        **options: Unpack[InferOptions],
    ) -> Answer:
        """As :meth:`Client.infer`."""
        return await self._drive(self._endpoints.infer(inputs, Target(model, version), options))

    async def plan(
        self,
        present: Sequence[str] | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        **options: Unpack[PlanOptions],
    ) -> DryRun:
        """As :meth:`Client.plan`."""
        return await self._drive(self._endpoints.plan(present, Target(model, version), options))

    async def models(self, **options: Unpack[CallOptions]) -> tuple[ListedModel, ...]:
        """As :meth:`Client.models`."""
        return await self._drive(self._endpoints.models(options))

    async def model(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> ModelDetails:
        """As :meth:`Client.model`."""
        return await self._drive(self._endpoints.model(Target(name, version), options))

    async def variants(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> tuple[Variant, ...]:
        """As :meth:`Client.variants`."""
        return await self._drive(self._endpoints.variants(Target(name, version), options))

    async def sample(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        missing: Sequence[str] = (),
        label: str | None = None,
        seed: int = 0,
        **options: Unpack[CallOptions],
    ) -> Sample:
        """As :meth:`Client.sample`."""
        query = sample_query(missing, label, seed)
        return await self._drive(self._endpoints.sample(query, Target(name, version), options))

    async def power(self, **options: Unpack[CallOptions]) -> Power:
        """As :meth:`Client.power`."""
        return await self._drive(self._endpoints.power(options))

    async def set_power_cap(self, cap_w: float | None, **options: Unpack[CallOptions]) -> Power:
        """As :meth:`Client.set_power_cap`."""
        return await self._drive(self._endpoints.set_power({"cap_w": cap_w}, options))

    async def set_power_schedule(
        self, schedule: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> Power:
        """As :meth:`Client.set_power_schedule`."""
        return await self._drive(self._endpoints.set_power({"schedule": schedule}, options))

    def stream(
        self,
        model: str | None = None,
        *,
        version: str | None = None,
        **options: Unpack[StreamOptions],
    ) -> AbstractAsyncContextManager[Stream]:
        """Open a stream of sensors, for ``async with``; it is closed at the end of the block.

        Not sent again if it is refused. Proxies and certificates of ``transport`` are not used.

        Args:
            model: None for the client's own, or else the service's default model.
            version: None for the one that is served by default.
            options: Terms of the stream.

        Raises:
            ClientError: When the block is entered, if the service refuses.
        """
        target = self._endpoints.target(Target(model, version))
        url = self._http.base_url.join(f"v1{target.path}/stream")
        address = str(url.copy_with(scheme="wss" if url.scheme == "https" else "ws"))
        kept = {n: v for n, v in self._http.headers.items() if n in _STREAM_HEADERS}
        return open_stream(address, kept, options)

    async def repository(
        self, *, ready: bool = False, **options: Unpack[CallOptions]
    ) -> tuple[IndexEntry, ...]:
        """As :meth:`Client.repository`."""
        return await self._drive(self._endpoints.index(options, ready=ready))

    async def load(
        self, name: str, *, version: str | None = None, **options: Unpack[CallOptions]
    ) -> tuple[str, ...]:
        """As :meth:`Client.load`."""
        return await self._drive(self._endpoints.load(Target(name, version), options))

    async def unload(
        self, name: str, *, version: str | None = None, **options: Unpack[CallOptions]
    ) -> tuple[str, ...]:
        """As :meth:`Client.unload`."""
        return await self._drive(self._endpoints.unload(Target(name, version), options))

    async def live(self, **options: Unpack[CallOptions]) -> bool:
        """As :meth:`Client.live`."""
        return await self._drive(self._endpoints.probe("/health/live", options))

    async def ready(self, **options: Unpack[CallOptions]) -> bool:
        """As :meth:`Client.ready`."""
        return await self._drive(self._endpoints.probe("/health/ready", options))

    async def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """As :meth:`Client.wait_until_ready`."""
        await self._drive(self._endpoints.wait_until_ready(timeout_s))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        """Return the client, which is closed at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _drive(self, program: Program[T]) -> T:
        outcome: Outcome | None = None
        try:
            while True:
                effect = program.send(outcome)
                if isinstance(effect, Send):
                    outcome = await self._exchange(effect)
                else:
                    await asyncio.sleep(effect.seconds)
                    outcome = None
        except StopIteration as end:
            result: T = end.value
            return result

    async def _exchange(self, send: Send) -> Outcome:
        begun = False
        try:
            async with (
                asyncio.timeout(send.timeout_s),
                self._http.stream(
                    send.method,
                    send.path,
                    params=send.query,
                    headers=send.headers,
                    content=send.content,
                    timeout=timeout_of(send),
                ) as response,
            ):
                begun = True
                content = await response.aread()
        except (httpx.RequestError, TimeoutError) as error:
            return failure_of(error, begun=begun)
        return Reply(response.status_code, response.headers, content)
