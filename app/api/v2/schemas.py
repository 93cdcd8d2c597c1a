"""Answers of the Open Inference Protocol as schemas: for the documentation, and tests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.inference.states import State

Scalar = str | int | float | bool


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class ServerMetadata(_Schema):
    """What this server is."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(_Schema):
    """Whether the process is alive."""

    live: bool


class ServerReady(_Schema):
    """Whether requests should be sent here."""

    ready: bool


class ModelReady(_Schema):
    """Whether a model can be asked."""

    name: str
    ready: bool


class TensorMetadata(_Schema):
    """One input or output of a model."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1 for the batch, which may also be left out")
    parameters: dict[str, Scalar] = Field(description="optional, rate_hz and unit of an input")


class ModelMetadata(_Schema):
    """What a model takes and answers."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class IndexEntry(_Schema):
    """One version of a model, stored or served."""

    name: str
    version: str
    state: State
    reason: str = Field(description="Why it is not served, or what is stored now can't be")


class Changed(_Schema):
    """What is served of a model after a change."""

    name: str
    versions: list[str] = Field(description="The newest first; none after the last was unloaded")


class OutputTensor(_Schema):
    """One output: its data here, or as bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Scalar] | None = Field(None, description="Flat, row by row")
    parameters: dict[str, Scalar] | None = Field(None, description="binary_data_size, if binary")


class InferResponse(_Schema):
    """The answer to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Scalar] = Field(
        description="variant, presence, ratio, reason, latency_ms, inference_ms, energy_mj, "
        "energy_source, energy_quality, budget_met, missed_because; plan and receipt in full as "
        "JSON in a string; empty with `Prefer: return=minimal`"
    )
    outputs: list[OutputTensor]


class OpenError(BaseModel):
    """What went wrong; each type has members of its own, as under /v1."""

    error: str
    type: str
    title: str
    status: int
    detail: str
    request_id: str


def error(description: str) -> dict[str, Any]:
    """Describe an error of an operation."""
    return {"description": description, "model": OpenError}
