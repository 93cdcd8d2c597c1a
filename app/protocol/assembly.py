"""From checked arrays to the windows of one request: what every way of sending them shares."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import WrongFieldError, WrongInputError
from app.inference.windows import FloatArray, Windows
from app.protocol import diagnosis
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec

MAX_ID_LENGTH = 128


def windows_of(
    spec: ModelSpec, arrays: Mapping[str, FloatArray], request_id: object, *, max_batch: int
) -> Windows:
    """Put the arrays of one request together.

    Args:
        spec: The model.
        arrays: ``[batch, length, channels]`` by modality, in the bundle's order.
        request_id: As sent.
        max_batch: Most windows in one request.

    Raises:
        WrongInputError: The modalities differ in batch, or there are too many windows.
        WrongFieldError: The id is no short string.
    """
    present = (i for i, modality in enumerate(spec.modalities) if modality.name in arrays)
    return Windows(
        inputs=arrays,
        presence=Presence.of(present, len(spec.modalities)),
        batch=_common_batch(arrays, max_batch),
        id=_checked_id(request_id),
    )


def unknown_modality(spec: ModelSpec, name: str) -> WrongInputError:
    """Say which modalities there are."""
    names, shown = ", ".join(spec.modality_names), diagnosis.shorten(name)
    return WrongInputError(
        f"unknown modality {shown}; the model has {names}",
        modality=name[:64],
        expected=f"one of {names}",
        received=shown,
    )


def none_present(spec: ModelSpec) -> WrongInputError:
    """Ask for a window."""
    names = ", ".join(spec.modality_names)
    return WrongInputError(
        f"no modality is present; send at least one of {names}",
        expected=f"at least one of {names}",
        received="none",
    )


def _common_batch(arrays: Mapping[str, FloatArray], max_batch: int) -> int:
    sizes = {name: len(array) for name, array in arrays.items()}
    first, batch = next(iter(sizes.items()))
    for name, size in sizes.items():
        if size != batch:
            raise WrongInputError(
                f"modality {name!r} holds {size} windows and {first!r} holds {batch}; "
                "every modality needs the same batch",
                modality=name,
                expected=f"{batch} windows, as in {first!r}",
                received=f"{size} windows",
            )
    if batch > max_batch:
        raise WrongInputError(
            f"modality {first!r} holds {batch} windows; at most {max_batch} fit into one request",
            modality=first,
            expected=f"at most {max_batch} windows",
            received=f"{batch} windows",
        )
    return batch


def _checked_id(value: object) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_ID_LENGTH):
        return value
    raise WrongFieldError(
        f"id must be a string of at most {MAX_ID_LENGTH} characters, got {diagnosis.kind(value)}",
        field="id",
    )
