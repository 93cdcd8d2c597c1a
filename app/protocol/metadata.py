"""What the service and its models say about themselves in the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.protocol.tensors import BYTES, Parameters
from sentryfuse.spec import ModelSpec

SERVER_NAME = "sentryfuse"
PLATFORM = "sentryfuse"
EXTENSIONS = ("binary_tensor_data", "classification", "model_repository", "parameters")


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """One input or output; a dimension of -1 varies."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a model takes and answers."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


def model_metadata(name: str, versions: Sequence[str], spec: ModelSpec) -> ModelMetadata:
    """Describe a model; every input is optional, as long as there is one."""
    return ModelMetadata(
        name=name,
        versions=tuple(versions),
        platform=PLATFORM,
        inputs=tuple(
            TensorMetadata(
                m.name,
                "FP32",
                (-1, m.length, m.channels),
                {"optional": True, "rate_hz": m.rate_hz, "unit": m.unit},
            )
            for m in spec.modalities
        ),
        outputs=(
            TensorMetadata("probabilities", "FP32", (-1, spec.num_classes)),
            TensorMetadata("label", BYTES, (-1,)),
            TensorMetadata("index", "INT64", (-1,)),
        ),
    )
