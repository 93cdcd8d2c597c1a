"""From the tensors of a request to windows the model takes, trusting nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import WrongInputError
from app.inference.windows import FloatArray, Windows
from app.protocol import diagnosis
from app.protocol.assembly import none_present, unknown_modality, windows_of
from app.protocol.tensors import InferRequest, Tensor, checked_datatype
from sentryfuse.spec import ModalitySpec, ModelSpec


class TensorReader:
    """Reads the windows of requests to one model.

    Args:
        spec: The model. Each modality is an input, ``[length, channels]`` or
            ``[batch, length, channels]``; one that is absent is left out.
        max_batch: Most windows in one request.
    """

    def __init__(self, spec: ModelSpec, *, max_batch: int) -> None:
        self._spec = spec
        self._known = {modality.name for modality in spec.modalities}
        self._max_batch = max_batch

    def read(self, request: InferRequest) -> Windows:
        """Check the tensors of one request; those in float32 are not copied.

        Raises:
            WrongInputError: They do not fit the model; says which and what was expected.
            WrongFieldError: The id has no usable value.
        """
        tensors = self._by_name(request.inputs)
        arrays = {
            modality.name: _window(modality, tensors[modality.name])
            for modality in self._spec.modalities
            if modality.name in tensors
        }
        return windows_of(self._spec, arrays, request.id, max_batch=self._max_batch)

    def _by_name(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for tensor in inputs:
            name = tensor.name
            if name not in self._known:
                raise unknown_modality(self._spec, name)
            if name in tensors:
                raise WrongInputError(
                    f"modality {name!r} was sent more than once",
                    modality=name,
                    expected="each modality once",
                    received=f"{name!r} again",
                )
            tensors[name] = tensor
        if not tensors:
            raise none_present(self._spec)
        return tensors


def _window(modality: ModalitySpec, tensor: Tensor) -> FloatArray:
    checked_datatype(tensor.name, tensor.datatype)
    shape = (modality.length, modality.channels)
    if len(tensor.shape) not in (2, 3) or tensor.shape[-2:] != shape or not tensor.data.size:
        raise diagnosis.unlike(modality, f"a tensor of shape {list(tensor.shape)}")
    array = _as_float32(tensor.data)
    if diagnosis.wrong_values(modality, array).any():
        raise diagnosis.not_finite_values(modality, tensor.data)
    return array.reshape(-1, *shape)


def _as_float32(data: NDArray[Any]) -> FloatArray:
    """Convert, or copy, only what the engine could not read as it is."""
    if data.dtype == np.float32 and data.flags.c_contiguous:
        return data if data.flags.aligned else data.copy()
    with np.errstate(over="ignore"):
        return data.astype(np.float32, order="C")
