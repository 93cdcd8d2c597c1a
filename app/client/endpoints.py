"""Every operation of the service as a program for either client to drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from app.client import native
from app.client.arrays import Inputs, present_arrays
from app.client.core import Surroundings, carry_out
from app.client.errors import (
    ConnectionFailedError,
    DeadlineError,
    ProtocolError,
    UnavailableError,
)
from app.client.options import CallOptions, InferOptions, PlanOptions, headers_of, latency_s
from app.client.reading import load, read
from app.client.retries import Retries
from app.client.values import (
    Answer,
    DryRun,
    ModelDetails,
    ModelSummary,
    Power,
    Sample,
    Variant,
)
from app.client.wire import Call, Program, Reply, T

_ONCE = Retries(attempts=1)
_POLLING = Retries(attempts=2**31, first_wait_s=0.02, longest_wait_s=0.25, heeds_retry_after=False)
_NOT_NOW = (UnavailableError, ConnectionFailedError, DeadlineError)
_JSON_HEADERS = {"Content-Type": native.CONTENT_TYPE}


@dataclass(frozen=True, slots=True)
class Target:
    """Which model and version is asked; None for the default one."""

    model: str | None = None
    version: str | None = None

    @property
    def path(self) -> str:
        """Where the model is; its name must be known."""
        assert self.model is not None
        named = f"/v1/models/{quote(self.model, safe='')}"
        return named if self.version is None else f"{named}/versions/{quote(self.version, safe='')}"


class Endpoints:
    """Makes the program of each operation.

    Args:
        model: Asked when a call names none; None for the service's default.
        deadline_s: Of calls that give none.
        retries: When a call is sent again.
        surroundings: Clocks and chance.
    """

    def __init__(
        self, *, model: str | None, deadline_s: float, retries: Retries, surroundings: Surroundings
    ) -> None:
        self._model = model
        self._deadline_s = deadline_s
        self._retries = retries
        self._surroundings = surroundings

    def infer(self, inputs: Inputs, target: Target, options: InferOptions) -> Program[Answer]:
        """Answer windows within a budget."""
        content = native.encode(present_arrays(inputs), options.get("id"))
        headers = {**_JSON_HEADERS, **headers_of(options)}

        def call_to(path: str) -> Call[Answer]:
            return Call(
                "POST",
                f"{path}/infer",
                native.decode,
                headers=headers,
                content=content,
                latency_s=latency_s(options),
            )

        if target == Target() and self._model is None:
            return self._carry_out(call_to("/v1"), self._deadline_of(options))
        return self._of_model(target, options, call_to)

    def plan(
        self, present: Sequence[str] | None, target: Target, options: PlanOptions
    ) -> Program[DryRun]:
        """Say which variant would be chosen, and why, without running it."""
        body: dict[str, Any] = {"batch": options.get("batch", 1)}
        if present is not None:
            body["present"] = list(present)
        headers, asked_ms = {**_JSON_HEADERS, **headers_of(options)}, options.get("latency_ms")
        return self._of_model(
            target,
            options,
            lambda path: Call(
                "POST",
                f"{path}/plan",
                _reads(DryRun),
                headers=headers,
                content=native.to_json(body),
                latency_s=None if asked_ms is None else asked_ms / 1e3,
            ),
        )

    def models(self, options: CallOptions) -> Program[tuple[ModelSummary, ...]]:
        """List every model that is served."""
        return self._get("/v1/models", _reads_all(ModelSummary, "models"), options)

    def model(self, target: Target, options: CallOptions) -> Program[ModelDetails]:
        """Say what a model takes and answers."""
        headers = headers_of(options)
        return self._of_model(
            target,
            options,
            lambda path: Call("GET", path, _reads(ModelDetails), headers=headers),
        )

    def variants(self, target: Target, options: CallOptions) -> Program[tuple[Variant, ...]]:
        """List the variants in memory with their cards."""
        reads, headers = _reads_all(Variant, "variants"), headers_of(options)
        return self._of_model(
            target, options, lambda path: Call("GET", f"{path}/variants", reads, headers=headers)
        )

    def sample(
        self, query: Mapping[str, str], target: Target, options: CallOptions
    ) -> Program[Sample]:
        """Draw a simulated window."""
        headers = headers_of(options)
        return self._of_model(
            target,
            options,
            lambda path: Call("GET", f"{path}/sample", _sample, query=query, headers=headers),
        )

    def power(self, options: CallOptions) -> Program[Power]:
        """Say what the node draws, who pays for it, and its cap."""
        return self._get("/v1/power", _reads(Power), options)

    def set_power(self, body: Mapping[str, Any], options: CallOptions) -> Program[Power]:
        """Set the node's cap, fixed or by schedule."""
        call = Call(
            "PUT",
            "/v1/power",
            _reads(Power),
            headers={**_JSON_HEADERS, **headers_of(options)},
            content=native.to_json(body),
        )
        return self._carry_out(call, self._deadline_of(options))

    def probe(self, path: str, options: CallOptions) -> Program[bool]:
        """Say whether a probe answers yes; a service out of reach is a no."""
        try:
            yield from self._carry_out(_probe(path, options), self._deadline_of(options), _ONCE)
        except _NOT_NOW:
            return False
        return True

    def wait_until_ready(self, timeout_s: float) -> Program[None]:
        """Ask until the service is ready.

        Raises:
            DeadlineError: It was not, in all that time.
        """
        try:
            yield from self._carry_out(_probe("/health/ready", {}), timeout_s, _POLLING)
        except _NOT_NOW as error:
            raise DeadlineError(f"not ready within {timeout_s:g} s: {error}") from error

    def _get(self, path: str, reads: Callable[[Reply], T], options: CallOptions) -> Program[T]:
        call = Call("GET", path, reads, headers=headers_of(options))
        return self._carry_out(call, self._deadline_of(options))

    def _of_model(
        self, target: Target, options: CallOptions | PlanOptions, call_to: Callable[[str], Call[T]]
    ) -> Program[T]:
        """Carry out a call that names its model; the service is asked for its default one."""
        deadline_s, began_s = self._deadline_of(options), self._surroundings.clock()
        name = target.model or self._model
        if name is None:
            look_up = Call("GET", "/v1/models", _default_model, headers=headers_of(options))
            name = yield from self._carry_out(look_up, deadline_s)
            deadline_s -= self._surroundings.clock() - began_s
        call = call_to(Target(name, target.version).path)
        result = yield from self._carry_out(call, deadline_s)
        return result

    def _carry_out(
        self, call: Call[T], deadline_s: float, retries: Retries | None = None
    ) -> Program[T]:
        return carry_out(
            call,
            deadline_s=deadline_s,
            retries=retries or self._retries,
            surroundings=self._surroundings,
        )

    def _deadline_of(self, options: CallOptions | PlanOptions | InferOptions) -> float:
        deadline_s = options.get("deadline_s")
        return self._deadline_s if deadline_s is None else deadline_s


def sample_query(missing: Sequence[str], label: str | None, seed: int) -> dict[str, str]:
    """Write the query of a simulated window."""
    query = {"seed": str(seed), "missing": ",".join(missing)}
    return query if label is None else {**query, "label": label}


def _probe(path: str, options: CallOptions) -> Call[None]:
    return Call("GET", path, lambda reply: None, headers=headers_of(options))


def _reads(kind: type[T]) -> Callable[[Reply], T]:
    return lambda reply: read(kind, load(reply))


def _reads_all(kind: type[T], member: str) -> Callable[[Reply], tuple[T, ...]]:
    """Read a list that stands under a name of its own."""

    def read_all(reply: Reply) -> tuple[T, ...]:
        content = load(reply)
        entries = content.get(member) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise ProtocolError(f"the answer is not understood: it has no array {member!r}")
        return tuple(read(kind, entry) for entry in entries)

    return read_all


def _default_model(reply: Reply) -> str:
    listed = _reads_all(ModelSummary, "models")(reply)
    name = next((model.name for model in listed if model.default), None)
    if name is None:
        raise ProtocolError("the service has no default model; name one")
    return name


def _sample(reply: Reply) -> Sample:
    content = load(reply)
    try:
        inputs = {
            name: None if rows is None else np.asarray(rows, dtype=np.float32)
            for name, rows in content["inputs"].items()
        }
        return Sample(label=content["label"], note=content["note"], inputs=inputs)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError(f"the answer is not a simulated window: {error!r}") from error
