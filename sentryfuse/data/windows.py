"""The window format: one array per modality, with labels and groups, in an ``.npz`` file.

Keys: one float array ``[windows, time, channels]`` for each modality, ``label`` and ``group``
(int64, ``[windows]``) and, if known, ``meta`` (JSON: names, rates, units, split, source).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError, DataError
from sentryfuse.spec import ModalitySpec

_RESERVED = ("label", "group", "meta")


@dataclass(frozen=True)
class WindowSet:
    """Labelled windows of several modalities.

    Args:
        name: What the set is called in records.
        arrays: Raw values by modality, ``[windows, time, channels]``; NaN = not measured.
        label: Class of each window, ``[windows]``.
        group: Person, day, machine... that must stay on one side of a split, ``[windows]``.
        class_names: Names of the classes.
        modalities: Shape, rate and unit of each modality, in bit order.
        meta: What else the file says of itself.
    """

    name: str
    arrays: Mapping[str, NDArray[np.floating]]
    label: NDArray[np.int64]
    group: NDArray[np.int64]
    class_names: tuple[str, ...]
    modalities: tuple[ModalitySpec, ...]
    meta: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.label)

    def subset(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> WindowSet:
        """Return the windows that ``index`` selects."""
        return WindowSet(
            name=self.name,
            arrays={name: array[index] for name, array in self.arrays.items()},
            label=self.label[index],
            group=self.group[index],
            class_names=self.class_names,
            modalities=self.modalities,
            meta=self.meta,
        )

    def of_groups(self, groups: tuple[int, ...]) -> WindowSet:
        """Return the windows of these groups."""
        return self.subset(np.isin(self.group, groups))


def load_windows(path: Path) -> WindowSet:
    """Read a window data set.

    Raises:
        DataError: The file is missing, not an ``.npz``, or not of the window format; the message
            names the key, what was seen and what is needed.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: not a readable .npz file: {error}") from error
    meta = _read_meta(path, content)
    keys = meta.get("modality_keys") or [k for k in content if k not in _RESERVED]
    if not keys:
        raise DataError(f"{path}: holds no modality; it has the keys {sorted(content)}")
    label, group = (_read_index(path, content, key) for key in ("label", "group"))
    arrays = {key: _read_modality(path, content, key, len(label)) for key in keys}
    if len(group) != len(label):
        raise DataError(f"{path}: {len(label)} labels but {len(group)} groups")
    if len(label) == 0 or label.min() < 0:
        raise DataError(f"{path}: labels must be 0..K-1 and at least one window is needed")
    names = meta.get("class_names") or [str(k) for k in range(int(label.max()) + 1)]
    if label.max() >= len(names):
        raise DataError(f"{path}: label {label.max()} has no name; there are {len(names)}")
    try:
        modalities = tuple(_describe(key, arrays[key], meta) for key in keys)
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error
    return WindowSet(path.stem, arrays, label, group, tuple(names), modalities, meta)


def _read_meta(path: Path, content: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    if "meta" not in content:
        return {}
    try:
        meta = json.loads(str(content["meta"]))
    except ValueError as error:
        raise DataError(f"{path}: meta is not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise DataError(f"{path}: meta must be a JSON object, got {type(meta).__name__}")
    return meta


def _read_index(path: Path, content: Mapping[str, NDArray[Any]], key: str) -> NDArray[np.int64]:
    if key not in content:
        raise DataError(f"{path}: lacks {key!r}; it has the keys {sorted(content)}")
    values = content[key]
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(
            f"{path}: {key!r} must be whole numbers [windows], got {values.dtype} {values.shape}"
        )
    return values.astype(np.int64)


def _read_modality(
    path: Path, content: Mapping[str, NDArray[Any]], key: str, windows: int
) -> NDArray[np.floating]:
    if key not in content:
        raise DataError(f"{path}: meta names modality {key!r}, but there is no such key")
    values = content[key]
    if values.ndim != 3 or values.dtype.kind != "f" or 0 in values.shape[1:]:
        raise DataError(
            f"{path}: {key!r} must be floats [windows, time, channels], "
            f"got {values.dtype} {values.shape}"
        )
    if len(values) != windows:
        raise DataError(f"{path}: {key!r} has {len(values)} windows, 'label' has {windows}")
    return values


def _describe(key: str, values: NDArray[np.floating], meta: Mapping[str, Any]) -> ModalitySpec:
    described = meta.get("modalities", {}).get(key, {})
    units = described.get("units", [])
    return ModalitySpec(
        name=key,
        length=values.shape[1],
        channels=values.shape[2],
        rate_hz=float(described.get("rate_hz", 0)),
        unit=", ".join(dict.fromkeys(units)),
        channel_names=tuple(described.get("channels", ())),
    )
