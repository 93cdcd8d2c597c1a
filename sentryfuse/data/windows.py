"""The window format: one array per modality, with labels and groups, in an ``.npz`` file.

Keys: one float array ``[windows, time, channels]`` for each modality, ``label`` and ``group``
(int64, ``[windows]``) and, if known, ``meta`` (JSON: names, rates, units, split, source).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError, DataError
from sentryfuse.spec import ModalitySpec

Arrays = Mapping[str, NDArray[Any]]

_RESERVED = ("label", "group", "meta")
# What reading a damaged or hostile archive may raise.
_DAMAGE = (
    BadZipFile,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    zlib.error,
)


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

    Without ``meta`` every array of three dimensions is a modality, and classes are numbers.

    Raises:
        DataError: The file is missing, not an ``.npz``, or not of the window format; the message
            names the key, what was seen and what is needed.
    """
    content = _read_archive(path)
    try:
        return _interpret(path.stem, content)
    except (ConfigError, DataError) as error:
        raise DataError(f"{path}: {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: meta is not usable: {error}") from error


def save_windows(windows: WindowSet, path: Path) -> None:
    """Write a window data set; the file appears whole or not at all.

    ``meta`` is written as it stands, with names of classes and modalities filled in.
    """
    meta = {
        **windows.meta,
        "class_names": list(windows.class_names),
        "modality_keys": [m.name for m in windows.modalities],
    }
    content = {
        **windows.arrays,
        "label": windows.label,
        "group": windows.group,
        "meta": np.array(json.dumps(meta)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **content)  # type: ignore[arg-type]
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read_archive(path: Path) -> Arrays:
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":  # an .npy alone would be read as one nameless array
                raise DataError(f"{path}: not an .npz file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except _DAMAGE as error:
        raise DataError(f"{path}: not a readable .npz file: {error}") from error


def _interpret(name: str, content: Arrays) -> WindowSet:
    meta = _read_meta(content)
    label, group = (_read_index(content, key) for key in ("label", "group"))
    if len(group) != len(label):
        raise DataError(f"{len(label)} labels but {len(group)} groups")
    if len(label) == 0 or label.min() < 0:
        raise DataError("labels must be 0..K-1 and at least one window is needed")
    class_names = _strings(meta, "class_names") or [str(k) for k in range(int(label.max()) + 1)]
    if label.max() >= len(class_names):
        raise DataError(f"label {label.max()} has no name; there are {len(class_names)}")
    keys = _strings(meta, "modality_keys") or [
        key for key, values in content.items() if key not in _RESERVED and values.ndim == 3
    ]
    if not keys:
        raise DataError(f"holds no modality; it has the keys {sorted(content)}")
    arrays = {key: _read_modality(content, key, len(label)) for key in keys}
    modalities = tuple(_describe(key, arrays[key], meta) for key in keys)
    return WindowSet(name, arrays, label, group, tuple(class_names), modalities, meta)


def _read_meta(content: Arrays) -> dict[str, Any]:
    if "meta" not in content:
        return {}
    try:
        meta = json.loads(content["meta"].item())
    except (ValueError, TypeError) as error:
        raise DataError(f"meta is not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise DataError(f"meta must be a JSON object, got {type(meta).__name__}")
    return meta


def _strings(described: Mapping[str, Any], key: str) -> list[str]:
    values = described.get(key) or []
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise DataError(f"{key} in meta must be a list of strings, got {values!r:.80}")
    return values


def _read_index(content: Arrays, key: str) -> NDArray[np.int64]:
    if key not in content:
        raise DataError(f"lacks {key!r}; it has the keys {sorted(content)}")
    values = content[key]
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataError(
            f"{key!r} must be whole numbers [windows], got {values.dtype} {values.shape}"
        )
    return values.astype(np.int64)


def _read_modality(content: Arrays, key: str, windows: int) -> NDArray[np.floating]:
    if key not in content:
        raise DataError(f"meta names modality {key!r}, but there is no such key")
    values = content[key]
    if values.ndim != 3 or values.dtype.kind != "f" or 0 in values.shape[1:]:
        raise DataError(
            f"{key!r} must be floats [windows, time, channels], got {values.dtype} {values.shape}"
        )
    if len(values) != windows:
        raise DataError(f"{key!r} has {len(values)} windows, 'label' has {windows}")
    return values


def _describe(key: str, values: NDArray[np.floating], meta: Mapping[str, Any]) -> ModalitySpec:
    described = (meta.get("modalities") or {}).get(key) or {}
    return ModalitySpec(
        name=key,
        length=values.shape[1],
        channels=values.shape[2],
        rate_hz=float(described.get("rate_hz") or 0),
        unit=", ".join(dict.fromkeys(_strings(described, "units"))),
        channel_names=tuple(_strings(described, "channels")),
        gaps=not np.isfinite(values).all(),
    )
