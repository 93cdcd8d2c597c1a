"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from app.client.arrays import Inputs
from app.client.calls import Target, sample_query
from app.client.core import Surroundings
from app.client.endpoints import Endpoints
from app.client.http import base_url, default_headers, failure_of, timeout_of
from app.client.options import CallOptions, InferOptions, PlanOptions
from app.client.retries import Retries
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


class Client:
    """Asks a SentryFuse service; may be shared by threads, and keeps connections open.

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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url(url), headers=default_headers(api_key), transport=transport
        )
        self._endpoints = Endpoints(
            model=model,
            deadline_s=deadline_s,
            retries=retries or Retries(),
            binary=binary,
            surroundings=Surroundings(random=Random()),
        )

    def infer(
        self,
        inputs: Inputs,
        *,
        model: str | None = None,
        version: str | None = None,
        **options: Unpack[InferOptions],
    ) -> Answer:
        """Classify the windows of whatever sensors are alive, within a budget.

        Args:
            inputs: Windows by sensor, ``[time, channels]`` or ``[batch, time, channels]``, in the
                sensor's own units; None or left out for one that is absent.
                NaN is a value that was not measured, where the model knows gaps.
            model: Whom to ask.
            version: Of the model; the newest if None.
            options: Budgets and more, see :class:`InferOptions`.

        Raises:
            WrongInputError: The windows do not fit the model.
            BudgetError: A strict budget can't be met, not even by an idle machine.
            UnavailableError: Too busy or not ready, and still so at the last try.
            DeadlineError: Time ran out.
            ConnectionFailedError: The service could not be reached.
            ClientError: Something else; base of all of these.
        """
        return self._drive(self._endpoints.infer(inputs, Target(model, version), options))

    def plan(
        self,
        present: Sequence[str] | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        **options: Unpack[PlanOptions],
    ) -> DryRun:
        """Say which variant a request would get, and why, without running it.

        Args:
            present: Sensors that are alive; all if None.
            model: Whom to ask.
            version: Of the model; the newest if None.
            options: Budgets and more, see :class:`PlanOptions`.
        """
        return self._drive(self._endpoints.plan(present, Target(model, version), options))

    def models(self, **options: Unpack[CallOptions]) -> tuple[ListedModel, ...]:
        """List every model that is served."""
        return self._drive(self._endpoints.models(options))

    def model(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> ModelDetails:
        """Say what a model takes and answers: sensors with shape, rate and unit; classes."""
        return self._drive(self._endpoints.model(Target(name, version), options))

    def variants(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        **options: Unpack[CallOptions],
    ) -> tuple[Variant, ...]:
        """List the variants of a model that are in memory."""
        return self._drive(self._endpoints.variants(Target(name, version), options))

    def sample(
        self,
        name: str | None = None,
        *,
        version: str | None = None,
        missing: Sequence[str] = (),
        label: str | None = None,
        seed: int = 0,
        **options: Unpack[CallOptions],
    ) -> Sample:
        """Draw a simulated window, to try things out with.

        Args:
            name: The model it is for.
            version: Of the model; the newest if None.
            missing: Sensors to leave out.
            label: Class it should look like; None draws one.
            seed: The same seed gives the same window.
            options: See :class:`CallOptions`.
        """
        query = sample_query(missing, label, seed)
        return self._drive(self._endpoints.sample(query, Target(name, version), options))

    def power(self, **options: Unpack[CallOptions]) -> Power:
        """Say what the node draws, who pays for it, and its cap."""
        return self._drive(self._endpoints.power(options))

    def set_power_cap(self, cap_w: float | None, **options: Unpack[CallOptions]) -> Power:
        """Cap the node's power, or lift the cap with None."""
        return self._drive(self._endpoints.set_power({"cap_w": cap_w}, options))

    def set_power_schedule(
        self, schedule: Mapping[str, Any], **options: Unpack[CallOptions]
    ) -> Power:
        """Have the node's power cap follow a schedule, as docs/power.md describes it."""
        return self._drive(self._endpoints.set_power({"schedule": schedule}, options))

    def repository(
        self, *, ready: bool = False, **options: Unpack[CallOptions]
    ) -> tuple[IndexEntry, ...]:
        """List every version of every model that is stored or served.

        Args:
            ready: Only those that answer.
            options: See :class:`CallOptions`.
        """
        return self._drive(self._endpoints.index(options, ready=ready))

    def load(
        self, name: str, *, version: str | None = None, **options: Unpack[CallOptions]
    ) -> tuple[str, ...]:
        """Serve what is stored now under a name: a new model, a newer version, or new bytes.

        Returns once it answers; its deadline is five minutes unless given.

        Args:
            name: Of the model.
            version: One version, beside those served; None for the newest.
            options: See :class:`CallOptions`.

        Returns:
            The versions served now, the newest first.

        Raises:
            UnusableModelError: What is stored can't be served; what was served still is.
        """
        return self._drive(self._endpoints.load(Target(name, version), options))

    def unload(
        self, name: str, *, version: str | None = None, **options: Unpack[CallOptions]
    ) -> tuple[str, ...]:
        """Serve a model, or one version of it, no more; return the versions still served."""
        return self._drive(self._endpoints.unload(Target(name, version), options))

    def live(self, **options: Unpack[CallOptions]) -> bool:
        """Say whether the process answers."""
        return self._drive(self._endpoints.probe("/health/live", options))

    def ready(self, **options: Unpack[CallOptions]) -> bool:
        """Say whether requests should be sent."""
        return self._drive(self._endpoints.probe("/health/ready", options))

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Return once the service is ready; it may not even have been started yet.

        Raises:
            DeadlineError: It was not, in all that time.
        """
        self._drive(self._endpoints.wait_until_ready(timeout_s))

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return the client, which is closed at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _drive(self, program: Program[T]) -> T:
        outcome: Outcome | None = None
        try:
            while True:
                effect = program.send(outcome)
                if isinstance(effect, Send):
                    outcome = self._exchange(effect)
                else:
                    time.sleep(effect.seconds)
                    outcome = None
        except StopIteration as end:
            result: T = end.value
            return result

    def _exchange(self, send: Send) -> Outcome:
        ends_s = time.monotonic() + send.timeout_s
        request = self._http.build_request(
            send.method,
            send.path,
            params=send.query,
            headers=send.headers,
            content=send.content,
            timeout=timeout_of(send),
        )
        try:
            response = self._http.send(request, stream=True)
        except httpx.RequestError as error:
            return failure_of(error)
        try:
            content = _read(response, ends_s)
        except (httpx.RequestError, TimeoutError) as error:
            return failure_of(error, begun=True)
        finally:
            response.close()
        return Reply(response.status_code, response.headers, content)


def _read(response: httpx.Response, ends_s: float) -> bytes:
    """Read the body; httpx alone would let it drip for ever."""
    chunks = []
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        if time.monotonic() > ends_s:
            raise TimeoutError("the answer did not end in time")
    return b"".join(chunks)
