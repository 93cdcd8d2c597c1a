"""Each operation of the service as a call: how it is written, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from app.client import binary, native
from app.client.arrays import Windows
from app.client.errors import NotFoundError, ProtocolError
from app.client.options import CallOptions, InferOptions, PlanOptions, headers_of, latency_s
from app.client.reading import load_json, read
from app.client.values import (
    Answer,
    DryRun,
    IndexEntry,
    ListedModel,
    ModelDetails,
    ModelSummary,
    Power,
    Sample,
    Variant,
)
from app.client.wire import Call, Reply, T

_JSON = {"Content-Type": native.CONTENT_TYPE}


@dataclass(frozen=True, slots=True)
class Target:
    """Which model and version is asked; None for the default one."""

    model: str | None = None
    version: str | None = None

    @property
    def path(self) -> str:
        """What stands behind ``/v1`` or ``/v2``."""
        if self.model is None:
            return ""
        named = f"/models/{_segment(self.model)}"
        return named if self.version is None else f"{named}/versions/{_segment(self.version)}"


def _segment(name: str) -> str:
    """Write a name as one segment of a path.

    Raises:
        NotFoundError: It can't be one: it would lead to another place.
    """
    if name in ("", ".", ".."):
        raise NotFoundError(f"no model or version is called {name!r}")
    return quote(name, safe="")


def infer(windows: Windows, target: Target, options: InferOptions) -> Call[Answer]:
    """Answer windows within a budget, over JSON."""
    return Call(
        "POST",
        f"/v1{target.path}/infer",
        native.decode,
        headers={**_JSON, **headers_of(options)},
        content=native.encode(windows, options.get("id")),
        latency_s=latency_s(options),
    )


def infer_binary(windows: Windows, target: Target, options: InferOptions) -> Call[Answer]:
    """Answer windows within a budget, sent as tensors; the target must name a model."""
    content, described = binary.encode(windows, options.get("id"))
    return Call(
        "POST",
        f"/v2{target.path}/infer",
        binary.decode,
        headers={**described, **headers_of(options)},
        content=content,
        latency_s=latency_s(options),
    )


def plan(present: Sequence[str] | None, target: Target, options: PlanOptions) -> Call[DryRun]:
    """Say which variant would be chosen, and why, without running it."""
    body: dict[str, Any] = {"batch": options.get("batch", 1)}
    if present is not None:
        body["present"] = list(present)
    asked_ms = options.get("latency_ms")
    return Call(
        "POST",
        f"/v1{target.path}/plan",
        _reads(DryRun),
        headers={**_JSON, **headers_of(options)},
        content=native.to_json(body),
        latency_s=None if asked_ms is None else asked_ms / 1e3,
    )


def models(options: CallOptions) -> Call[tuple[ListedModel, ...]]:
    """List every model that is served."""
    return Call("GET", "/v1/models", _reads_all(ListedModel, "models"), headers=headers_of(options))


def default_model(options: CallOptions) -> Call[str]:
    """Find the name of the default model."""
    return Call("GET", "/v1/models", _default_model, headers=headers_of(options))


def model(target: Target, options: CallOptions) -> Call[ModelDetails]:
    """Say what a model takes and answers."""
    return Call("GET", f"/v1{target.path}", _reads(ModelDetails), headers=headers_of(options))


def variants(target: Target, options: CallOptions) -> Call[tuple[Variant, ...]]:
    """List the variants in memory with their cards."""
    reads, path = _reads_all(Variant, "variants"), f"/v1{target.path}/variants"
    return Call("GET", path, reads, headers=headers_of(options))


def sample(query: Mapping[str, str], target: Target, options: CallOptions) -> Call[Sample]:
    """Draw a simulated window."""
    return Call(
        "GET", f"/v1{target.path}/sample", _sample, query=query, headers=headers_of(options)
    )


def power(options: CallOptions) -> Call[Power]:
    """Say what the node draws, who pays for it, and its cap."""
    return Call("GET", "/v1/power", _reads(Power), headers=headers_of(options))


def set_power(body: Mapping[str, Any], options: CallOptions) -> Call[Power]:
    """Set the node's cap, fixed or by schedule."""
    headers = {**_JSON, **headers_of(options)}
    content = native.to_json(body)
    return Call("PUT", "/v1/power", _reads(Power), headers=headers, content=content)


def index(options: CallOptions, *, ready: bool) -> Call[tuple[IndexEntry, ...]]:
    """List what is stored or served."""
    return Call(
        "POST",
        "/v2/repository/index",
        _reads_all(IndexEntry),
        headers={**_JSON, **headers_of(options)},
        content=native.to_json({"ready": ready}),
    )


def load(target: Target, options: CallOptions) -> Call[tuple[str, ...]]:
    """Serve what is stored now under a name."""
    return _change("load", target, options)


def unload(target: Target, options: CallOptions) -> Call[tuple[str, ...]]:
    """Serve a model no more."""
    return _change("unload", target, options)


def _change(change: str, target: Target, options: CallOptions) -> Call[tuple[str, ...]]:
    named = {} if target.version is None else {"version": target.version}
    return Call(
        "POST",
        f"/v2/repository{Target(target.model).path}/{change}",
        lambda reply: read(_Changed, load_json(reply)).versions,
        headers={**_JSON, **headers_of(options)},
        content=native.to_json({"parameters": named}),
        repeatable=False,
    )


@dataclass(frozen=True, slots=True)
class _Changed:
    """What is served of a model after a change."""

    versions: tuple[str, ...]


def probe(path: str, options: CallOptions) -> Call[None]:
    """Ask a probe, which says yes by its status."""
    return Call("GET", path, lambda _: None, headers=headers_of(options))


def sample_query(missing: Sequence[str], label: str | None, seed: int) -> dict[str, str]:
    """Write the query of a simulated window."""
    query = {"seed": str(seed), "missing": ",".join(missing)}
    return query if label is None else {**query, "label": label}


def _reads(kind: type[T]) -> Callable[[Reply], T]:
    return lambda reply: read(kind, load_json(reply))


def _reads_all(kind: type[T], member: str | None = None) -> Callable[[Reply], tuple[T, ...]]:
    """Read a list, which may stand under a name of its own."""

    def read_all(reply: Reply) -> tuple[T, ...]:
        entries = load_json(reply)
        if member is not None:
            entries = entries.get(member) if isinstance(entries, dict) else None
        if not isinstance(entries, list):
            raise ProtocolError(f"the answer is not understood: no array {member or ''}")
        return tuple(read(kind, entry) for entry in entries)

    return read_all


def _default_model(reply: Reply) -> str:
    listed = _reads_all(ModelSummary, "models")(reply)
    name = next((model.name for model in listed if model.default), None)
    if name is None:
        raise ProtocolError("the service has no default model; name one")
    return name


def _sample(reply: Reply) -> Sample:
    content = load_json(reply)
    try:
        inputs = {
            name: None if rows is None else np.asarray(rows, dtype=np.float32)
            for name, rows in content["inputs"].items()
        }
        return Sample(label=content["label"], note=content["note"], inputs=inputs)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ProtocolError(f"the answer is not a simulated window: {error!r}") from error
