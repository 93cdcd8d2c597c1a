"""Every operation of the service as a program, for either client to drive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.client import calls
from app.client.arrays import Inputs, Windows, present_arrays
from app.client.calls import Target
from app.client.core import Surroundings, carry_out
from app.client.errors import (
    ClientError,
    ConnectionFailedError,
    DeadlineError,
    NotFoundError,
    UnavailableError,
)
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
from app.client.wire import Call, Program, T

_ONCE = Retries(attempts=1)
_POLLING = Retries(attempts=2**31, first_wait_s=0.02, longest_wait_s=0.25, heeds_retry_after=False)
_LOAD_S = 300.0
_NOT_NOW = (UnavailableError, ConnectionFailedError, DeadlineError)


class Endpoints:
    """Makes the program of each operation.

    Args:
        model: Asked when a call names none; None for the service's default.
        deadline_s: Of calls that give none.
        retries: When a call is sent again.
        binary: Whether inference sends tensors, where a call does not say.
        surroundings: Clocks and chance.
    """

    def __init__(
        self,
        *,
        model: str | None,
        deadline_s: float,
        retries: Retries,
        binary: bool,
        surroundings: Surroundings,
    ) -> None:
        self._model = model
        self._deadline_s = deadline_s
        self._retries = retries
        self._binary = binary
        self._surroundings = surroundings
        self._default: str | None = None
        """Name of the service's default model, as its last answer gave it."""

    def target(self, target: Target) -> Target:
        """Fill in the client's own model.

        Raises:
            ClientError: A version of no model.
        """
        model = target.model or self._model
        if model is None and target.version is not None:
            raise ClientError(f"version {target.version!r} of which model? Give model, too")
        return Target(model, target.version)

    def infer(self, inputs: Inputs, target: Target, options: InferOptions) -> Program[Answer]:
        """Answer windows within a budget."""
        windows, binary = present_arrays(inputs, gaps=True), options.get("binary")
        binary = self._binary if binary is None else binary
        if target == Target() and self._model is None:
            return self._infer_by_default(windows, options, binary=binary)
        make = calls.infer_binary if binary else calls.infer
        return self._of_model(target, options, lambda named: make(windows, named, options))

    def _infer_by_default(
        self, windows: Windows, options: InferOptions, *, binary: bool
    ) -> Program[Answer]:
        """Ask the default model, whose name tensors need; it is learnt from an answer over JSON.

        The list of models would tell as well, but a key that is only good for inference may not
        read it.
        """
        ends_s = self._surroundings.clock() + self._deadline_of(options)
        if binary and self._default is not None:
            call = calls.infer_binary(windows, Target(self._default), options)
            try:
                return (yield from self._by(ends_s, call))
            except NotFoundError:  # there is another default now
                self._default = None
        answer = yield from self._by(ends_s, calls.infer(windows, Target(), options))
        self._default = answer.model
        return answer

    def plan(
        self, present: Sequence[str] | None, target: Target, options: PlanOptions
    ) -> Program[DryRun]:
        """Say which variant would be chosen, and why, without running it."""
        return self._of_model(target, options, lambda named: calls.plan(present, named, options))

    def models(self, options: CallOptions) -> Program[tuple[ListedModel, ...]]:
        """List every model that is served."""
        return self._now(calls.models(options), options)

    def model(self, target: Target, options: CallOptions) -> Program[ModelDetails]:
        """Say what a model takes and answers."""
        return self._of_model(target, options, lambda named: calls.model(named, options))

    def variants(self, target: Target, options: CallOptions) -> Program[tuple[Variant, ...]]:
        """List the variants in memory with their cards."""
        return self._of_model(target, options, lambda named: calls.variants(named, options))

    def sample(
        self, query: Mapping[str, str], target: Target, options: CallOptions
    ) -> Program[Sample]:
        """Draw a simulated window."""
        return self._of_model(target, options, lambda named: calls.sample(query, named, options))

    def power(self, options: CallOptions) -> Program[Power]:
        """Say what the node draws, who pays for it, and its cap."""
        return self._now(calls.power(options), options)

    def set_power(self, body: Mapping[str, Any], options: CallOptions) -> Program[Power]:
        """Set the node's cap, fixed or by schedule."""
        return self._now(calls.set_power(body, options), options)

    def index(self, options: CallOptions, *, ready: bool) -> Program[tuple[IndexEntry, ...]]:
        """List what is stored or served."""
        return self._now(calls.index(options, ready=ready), options)

    def load(self, target: Target, options: CallOptions) -> Program[tuple[str, ...]]:
        """Serve what is stored now under a name."""
        return self._now(calls.load(target, options), _patient(options))

    def unload(self, target: Target, options: CallOptions) -> Program[tuple[str, ...]]:
        """Serve a model no more."""
        return self._now(calls.unload(target, options), _patient(options))

    def probe(self, path: str, options: CallOptions) -> Program[bool]:
        """Say whether a probe answers yes; a service out of reach is a no."""
        try:
            yield from self._now(calls.probe(path, options), options, _ONCE)
        except _NOT_NOW:
            return False
        return True

    def wait_until_ready(self, timeout_s: float) -> Program[None]:
        """Ask until the service is ready.

        Raises:
            DeadlineError: It was not, in all that time.
        """
        options = CallOptions(deadline_s=timeout_s)
        try:
            yield from self._now(calls.probe("/health/ready", {}), options, _POLLING)
        except _NOT_NOW as error:
            raise DeadlineError(f"not ready within {timeout_s:g} s: {error}") from error

    def _of_model(
        self,
        target: Target,
        options: CallOptions | PlanOptions | InferOptions,
        make: Callable[[Target], Call[T]],
    ) -> Program[T]:
        """Carry out a call that names its model; the service is asked for its default one."""
        ends_s = self._surroundings.clock() + self._deadline_of(options)
        name = target.model or self._model
        if name is None:
            identity = CallOptions(
                request_id=options.get("request_id"), traceparent=options.get("traceparent")
            )
            name = yield from self._by(ends_s, calls.default_model(identity))
        return (yield from self._by(ends_s, make(Target(name, target.version))))

    def _now(
        self, call: Call[T], options: CallOptions, retries: Retries | None = None
    ) -> Program[T]:
        return self._by(self._surroundings.clock() + self._deadline_of(options), call, retries)

    def _by(self, ends_s: float, call: Call[T], retries: Retries | None = None) -> Program[T]:
        return carry_out(
            call,
            deadline_s=ends_s - self._surroundings.clock(),
            retries=retries or self._retries,
            surroundings=self._surroundings,
        )

    def _deadline_of(self, options: CallOptions | PlanOptions | InferOptions) -> float:
        deadline_s = options.get("deadline_s")
        return self._deadline_s if deadline_s is None else deadline_s


def _patient(options: CallOptions) -> CallOptions:
    """Give a change of what is served its time, where the caller has not: much is done in it."""
    return options if options.get("deadline_s") is not None else {**options, "deadline_s": _LOAD_S}
