"""Windows cut from recordings: each sensor at its own rate, all ending together.

A window begins every hop, from a recording's first sample on. Of each sensor it takes, for every
moment of the sensor's own grid, the nearest sample within half a period, so that jitter does no
harm and a gap stays a gap. The streaming service cuts by the same rule (docs/streaming.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.csv_table import Table
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError, DataError
from sentryfuse.spec import ModalitySpec

_RATE_TOLERANCE = 0.05
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One modality to be: which columns, how often, over how long."""

    name: str
    columns: tuple[str, ...]
    window_s: float
    rate_hz: float | None = None
    """Samples per second; what the times say if not given."""
    unit: str = ""

    def __post_init__(self) -> None:
        for what, value in (("window", self.window_s), ("rate", self.rate_hz)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"sensor {self.name}: {what} must be positive, got {value:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How recordings become windows."""

    hop_s: float
    label_share: float = 0.8
    """Least part of a window's labelled rows that its label must have."""
    measured_share: float = 0.8
    """Least part of a sensor's samples that must be there; below it the sensor is absent."""

    def __post_init__(self) -> None:
        if not 0 < self.hop_s < float("inf"):
            raise ConfigError(f"hop must be positive, got {self.hop_s:g}")
        for name in ("label_share", "measured_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be in (0, 1], got {getattr(self, name):g}")


@dataclass(slots=True)
class Tally:
    """What became of the windows."""

    kept: int = 0
    unlabelled: int = 0
    """Left out: no row of theirs has a label."""
    mixed: int = 0
    """Left out: no label has its share."""
    silent: int = 0
    """Left out: no sensor was measured."""
    groups: tuple[str, ...] = ()
    absent: dict[str, int] = field(default_factory=dict)
    """Windows kept without this sensor."""


@dataclass(frozen=True, slots=True)
class _Series:
    """What one sensor, or the label, says of one recording: ascending times."""

    time_s: NDArray[np.float64]
    values: NDArray[Any]


def cut_windows(
    tables: Sequence[Table],
    sensors: Sequence[Sensor],
    cutting: Cutting,
    *,
    name: str,
    licence: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[WindowSet, Tally]:
    """Cut all recordings into windows with labels and groups.

    Args:
        tables: What was read, :func:`sentryfuse.data.csv_table.read_table`.
        sensors: Modalities, in the order that the model will have.
        cutting: Hop, and what a window must have.
        name: What the data set is called.
        licence: Under which the recordings may be used.
        progress: Told how many recordings are done, of how many.

    Returns:
        The windows, and what became of those that were left out.

    Raises:
        DataError: Columns are missing, times go back, a rate is not what the times say, or
            nothing is left; the message names what was wrong and where.
    """
    group_of = {name: group for table in tables for name, group in table.group_of.items()}
    labels = _labels(tables)
    series = {sensor.name: _sensor_series(tables, sensor) for sensor in sensors}
    modalities = tuple(_modality(sensor, series[sensor.name]) for sensor in sensors)
    longest_s = max(sensor.window_s for sensor in sensors)
    tally = Tally(absent={sensor.name: 0 for sensor in sensors})
    parts: list[tuple[str, NDArray[np.str_], dict[str, NDArray[np.float32]]]] = []
    for done, recording in enumerate(group_of, 1):
        here = {n: found[recording] for n, found in series.items() if recording in found}
        if here:
            ends = _ends(list(here.values()), longest_s, cutting.hop_s, modalities)
            chosen = _choose_labels(labels.get(recording), ends, longest_s, cutting, tally)
            arrays = {
                sensor.name: _windows(here.get(sensor.name), ends, modality, sensor, cutting)
                for sensor, modality in zip(sensors, modalities, strict=True)
            }
            parts.append(_kept(group_of[recording], chosen, arrays, tally))
        progress(done, len(group_of))
    if not tally.kept:
        raise DataError(
            f"no window is left: {tally.unlabelled} without a label, {tally.mixed} with several, "
            f"{tally.silent} without a sensor; the longest window is {longest_s:g} s"
        )
    return _window_set(name, parts, modalities, sensors, licence, tally), tally


def _sensor_series(tables: Sequence[Table], sensor: Sensor) -> Mapping[str, _Series]:
    """The samples of one sensor, by recording; rows where nothing was measured are no samples."""
    found: list[tuple[Table, NDArray[Any], NDArray[np.bool_]]] = []
    for table in tables:
        there = [column for column in sensor.columns if column in table.values]
        if there and len(there) < len(sensor.columns):
            lacking = next(column for column in sensor.columns if column not in there)
            raise DataError(f"{table.path}: sensor {sensor.name!r} lacks column {lacking!r}")
        if there:
            values = np.stack([table.values[column] for column in sensor.columns], axis=1)
            found.append((table, values, np.asarray(np.isfinite(values).any(axis=1))))
    if not any(measured.any() for _, _, measured in found):
        raise DataError(f"sensor {sensor.name!r}: no row has a value in {list(sensor.columns)}")
    return _by_recording(found, f"sensor {sensor.name!r}")


def _labels(tables: Sequence[Table]) -> Mapping[str, _Series]:
    """Label of each labelled or unlabelled moment, by recording."""
    found = [
        (table, table.label, np.ones(len(table.label), dtype=np.bool_))
        for table in tables
        if table.label is not None
    ]
    if not found:
        raise DataError(f"no file has the label column; looked in {[str(t.path) for t in tables]}")
    return _by_recording(found, "the label")


def _by_recording(
    found: Sequence[tuple[Table, NDArray[Any], NDArray[np.bool_]]], what: str
) -> Mapping[str, _Series]:
    pieces: dict[str, list[tuple[Table, _Series]]] = {}
    for table, values, used in found:
        for recording in table.group_of:
            rows = np.flatnonzero((table.recording == recording) & used)
            if len(rows):
                time_s = table.time_s[rows]
                _check_order(table, rows, time_s)
                pieces.setdefault(recording, []).append((table, _Series(time_s, values[rows])))
    return {recording: _joined(recording, parts, what) for recording, parts in pieces.items()}


def _check_order(table: Table, rows: NDArray[np.int64], time_s: NDArray[np.float64]) -> None:
    back = np.flatnonzero(np.diff(time_s) <= 0)
    if len(back):
        row = rows[back[0] + 1]
        raise DataError(
            f"{table.path}, row {table.row[row]}: time {time_s[back[0] + 1]:.9g} s does not come "
            f"after {time_s[back[0]]:.9g} s of recording {table.recording[row]!r}; if a second "
            "recording begins there, name the column that tells them apart (--recording)"
        )


def _joined(recording: str, parts: list[tuple[Table, _Series]], what: str) -> _Series:
    parts = sorted(parts, key=lambda part: part[1].time_s[0])
    for (first, before), (second, after) in pairwise(parts):
        if after.time_s[0] <= before.time_s[-1]:
            raise DataError(
                f"{what} of recording {recording!r} stands in {first.path} and {second.path} at "
                "the same time; if these are two recordings, name the column that tells them "
                "apart (--recording)"
            )
    return _Series(
        np.concatenate([series.time_s for _, series in parts]),
        np.concatenate([series.values for _, series in parts]),
    )


def _modality(sensor: Sensor, series: Mapping[str, _Series]) -> ModalitySpec:
    periods = np.concatenate([np.diff(s.time_s) for s in series.values()])
    if sensor.rate_hz is None and not len(periods):
        raise DataError(f"sensor {sensor.name!r}: one sample tells no rate; state it (--rate)")
    seen_hz = 1 / float(np.median(periods)) if len(periods) else sensor.rate_hz
    rate_hz = sensor.rate_hz or float(f"{seen_hz:.3g}")
    if seen_hz is not None and abs(seen_hz / rate_hz - 1) > _RATE_TOLERANCE:
        raise DataError(
            f"sensor {sensor.name!r}: stated are {rate_hz:g} Hz, its times say {seen_hz:.4g} Hz"
        )
    return ModalitySpec(
        name=sensor.name,
        length=max(1, round(sensor.window_s * rate_hz)),
        channels=len(sensor.columns),
        rate_hz=rate_hz,
        unit=sensor.unit,
        channel_names=sensor.columns,
    )


def _ends(
    series: Sequence[_Series],
    longest_s: float,
    hop_s: float,
    modalities: Sequence[ModalitySpec],
) -> NDArray[np.float64]:
    """Where windows end: half open, so that the last sample of one lies a period before it."""
    first_s = min(s.time_s[0] for s in series)
    last_s = max(s.time_s[-1] for s in series) + 1 / max(m.rate_hz for m in modalities)
    count = int(np.floor((last_s - first_s - longest_s) / hop_s + _ROUNDING)) + 1
    ends: NDArray[np.float64] = first_s + longest_s + hop_s * np.arange(max(0, count))
    return ends


def _windows(
    series: _Series | None,
    ends: NDArray[np.float64],
    modality: ModalitySpec,
    sensor: Sensor,
    cutting: Cutting,
) -> NDArray[np.float32]:
    """``[windows, time, channels]``; NaN where nothing was measured, or too little."""
    shape = (len(ends), modality.length, modality.channels)
    if series is None:
        return np.full(shape, np.nan, dtype=np.float32)
    steps = np.arange(modality.length) / modality.rate_hz
    moments = (ends[:, None] - sensor.window_s + steps[None, :]).ravel()
    after = np.searchsorted(series.time_s, moments).clip(max=len(series.time_s) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(series.time_s[before] - moments) <= np.abs(series.time_s[after] - moments)
    nearest = np.where(nearer, before, after)
    distance = np.abs(series.time_s[nearest] - moments)
    out = np.asarray(series.values, dtype=np.float32)[nearest]
    out[distance > (0.5 + _ROUNDING) / modality.rate_hz] = np.nan
    out = out.reshape(shape)
    measured = np.isfinite(out).any(axis=2).mean(axis=1)
    out[measured < cutting.measured_share] = np.nan
    return out


def _choose_labels(
    series: _Series | None,
    ends: NDArray[np.float64],
    window_s: float,
    cutting: Cutting,
    tally: Tally,
) -> NDArray[np.str_]:
    """Label of each window; empty for a window to be left out."""
    if series is None:
        tally.unlabelled += len(ends)
        return np.full(len(ends), "", dtype=np.str_)
    names, codes = np.unique(series.values, return_inverse=True)
    first = np.searchsorted(series.time_s, ends - window_s - _ROUNDING)
    last = np.searchsorted(series.time_s, ends - _ROUNDING)
    chosen = []
    for start, stop in zip(first, last, strict=True):
        counts = np.bincount(codes[start:stop], minlength=len(names))
        labelled = np.where(names == "", 0, counts)
        best = int(labelled.argmax())
        if not labelled[best]:
            tally.unlabelled += 1
            chosen.append("")
        elif labelled[best] < cutting.label_share * counts.sum():
            tally.mixed += 1
            chosen.append("")
        else:
            chosen.append(str(names[best]))
    return np.array(chosen, dtype=np.str_)


def _kept(
    group: str,
    chosen: NDArray[np.str_],
    arrays: Mapping[str, NDArray[np.float32]],
    tally: Tally,
) -> tuple[str, NDArray[np.str_], dict[str, NDArray[np.float32]]]:
    """The windows of one recording that have a label and a sensor."""
    present = {name: np.isfinite(a).any(axis=(1, 2)) for name, a in arrays.items()}
    heard = np.any(list(present.values()), axis=0) if len(chosen) else np.zeros(0, dtype=np.bool_)
    labelled = chosen != ""
    keep = labelled & heard
    tally.silent += int((labelled & ~heard).sum())
    tally.kept += int(keep.sum())
    for name, there in present.items():
        tally.absent[name] += int((keep & ~there).sum())
    return group, chosen[keep], {name: array[keep] for name, array in arrays.items()}


def _window_set(
    name: str,
    parts: Sequence[tuple[str, NDArray[np.str_], Mapping[str, NDArray[np.float32]]]],
    modalities: tuple[ModalitySpec, ...],
    sensors: Sequence[Sensor],
    licence: str,
    tally: Tally,
) -> WindowSet:
    labels = np.concatenate([chosen for _, chosen, _ in parts])
    class_names = tuple(sorted({str(label) for label in labels}, key=_natural))
    if len(class_names) < 2:
        raise DataError(f"all {len(labels)} windows have the label {class_names[0]!r}; two needed")
    tally.groups = tuple(sorted({group for group, kept, _ in parts if len(kept)}, key=_natural))
    numbers = [
        np.full(len(kept), tally.groups.index(group) if len(kept) else 0)
        for group, kept, _ in parts
    ]
    return WindowSet(
        name=name,
        arrays={m.name: np.concatenate([a[m.name] for _, _, a in parts]) for m in modalities},
        label=np.array([class_names.index(str(label)) for label in labels], dtype=np.int64),
        group=np.concatenate(numbers).astype(np.int64),
        class_names=class_names,
        modalities=modalities,
        meta={
            "dataset": name,
            "group_names": list(tally.groups),
            "modalities": {
                sensor.name: {
                    "channels": list(sensor.columns),
                    "units": [sensor.unit] * len(sensor.columns),
                    "rate_hz": modality.rate_hz,
                }
                for sensor, modality in zip(sensors, modalities, strict=True)
            },
            **({"source": {"licence": licence}} if licence else {}),
        },
    )


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts person 10 after person 9."""
    parts = re.split(r"(\d+)", text)
    return [(int(p), "") if p.isdecimal() else (0, p) for p in parts]
