"""Simulated sensor windows for demos and tests, from class statistics small enough for a bundle.

A window is a level, one oscillation with its second harmonic, and first-order noise, channel by
channel. That suits movement: models recognise the activity of nearly every window simulated from
DSADS. Where classes differ in the fine relation of channels, as in machine cycles, they may not.
Nothing but averages over all training windows of a class is kept, never a recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.spec import ModelSpec

SIMULATED_NOTE = (
    "Simulated: drawn from class averages of the training data, not recorded from a person or "
    "machine. For demos and tests only; it says nothing about accuracy."
)

# Rows of each modality's array ``[statistics, classes, channels]``.
_STATISTICS = (
    "level",  # mean of all windows
    "level_std",  # between windows
    "amplitude_1",  # of the dominant oscillation
    "amplitude_2",  # of its second harmonic
    "phase_1",  # against the strongest channel of the modality
    "phase_2",
    "noise_std",  # of what is left
    "noise_memory",  # its correlation from one sample to the next
)
_CYCLES = "cycles"
_KNOWN = "known"
# Full independent spread of the levels would give every channel of a sensor another person's
# posture; half of it keeps windows different and the class recognisable.
_LEVEL_SPREAD = 0.5
_CYCLES_SPREAD = 0.03

Arrays = Mapping[str, NDArray[np.float32]]
Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WindowSimulator:
    """Draws windows that look like a class.

    Args:
        lengths: Samples in a window, by modality.
        statistics: ``[statistics, classes, channels]`` by modality.
        missing: Share of values that are not measured, ``[classes, channels]``, for modalities
            that have such values.
        cycles: Oscillations in one window, ``[classes, modalities]``.
        known: Which classes the training windows held, ``[classes]``.
    """

    lengths: Mapping[str, int]
    statistics: Arrays
    missing: Arrays
    cycles: NDArray[np.float32]
    known: NDArray[np.bool_]

    @classmethod
    def fit(cls, train: WindowSet) -> WindowSimulator:
        """Take the averages of each class.

        Args:
            train: Windows of the training groups, and of no other.
        """
        classes = len(train.class_names)
        names = [m.name for m in train.modalities]
        cycles = np.zeros((classes, len(names)), dtype=np.float32)
        statistics, missing = {}, {}
        for column, modality in enumerate(train.modalities):
            array = train.arrays[modality.name]
            rows = np.zeros((len(_STATISTICS), classes, modality.channels), dtype=np.float32)
            absent = np.zeros((classes, modality.channels), dtype=np.float32)
            for label in np.unique(train.label):
                values = array[train.label == label].astype(np.float64)
                values[~np.isfinite(values)] = np.nan
                absent[label] = np.isnan(values).mean(axis=(0, 1))
                rows[:, label], cycles[label, column] = _describe_class(values)
            statistics[modality.name] = rows
            if absent.any():
                missing[modality.name] = absent
        return cls(
            lengths={m.name: m.length for m in train.modalities},
            statistics=statistics,
            missing=missing,
            cycles=cycles,
            known=np.isin(np.arange(classes), train.label),
        )

    @classmethod
    def from_arrays(cls, arrays: Arrays, spec: ModelSpec) -> WindowSimulator:
        """Rebuild a simulator from a bundle's ``simulator_arrays`` and spec.

        Raises:
            BundleError: The bundle has no simulator, or its arrays do not fit the spec.
        """
        if not arrays:
            raise BundleError("the bundle holds no simulator")
        classes = spec.num_classes
        shapes = {_CYCLES: (classes, len(spec.modalities)), _KNOWN: (classes,)}
        for m in spec.modalities:
            shapes[_statistics_key(m.name)] = (len(_STATISTICS), classes, m.channels)
            if _missing_key(m.name) in arrays:
                shapes[_missing_key(m.name)] = (classes, m.channels)
        for key, shape in shapes.items():
            found = arrays[key].shape if key in arrays else None
            if found != shape:
                raise BundleError(f"simulator array {key!r} must be {shape}, got {found}")
        if not arrays[_KNOWN].any():
            raise BundleError("the bundle's simulator knows no class")
        return cls(
            lengths={m.name: m.length for m in spec.modalities},
            statistics={n: arrays[_statistics_key(n)] for n in spec.modality_names},
            missing={
                n: arrays[_missing_key(n)] for n in spec.modality_names if _missing_key(n) in arrays
            },
            cycles=arrays[_CYCLES],
            known=arrays[_KNOWN] > 0,
        )

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what :meth:`from_arrays` needs, as float32 arrays for a bundle."""
        return {
            _CYCLES: self.cycles,
            _KNOWN: self.known.astype(np.float32),
            **{_statistics_key(name): rows for name, rows in self.statistics.items()},
            **{_missing_key(name): share for name, share in self.missing.items()},
        }

    def window(
        self, label: int | None, rng: np.random.Generator
    ) -> tuple[int, dict[str, NDArray[np.float32]]]:
        """Draw one window of every modality.

        Args:
            label: Class to look like; None draws one.
            rng: Where the randomness comes from; the same state gives the same window.

        Returns:
            The class, and raw values ``[length, channels]`` by modality; NaN = not measured.

        Raises:
            ConfigError: No such class, or the training windows held none of it.
        """
        if label is None:
            label = int(rng.choice(np.flatnonzero(self.known)))
        elif not 0 <= label < len(self.known):
            raise ConfigError(f"label must be in [0, {len(self.known) - 1}], got {label}")
        elif not self.known[label]:
            raise ConfigError(f"class {label} cannot be simulated: no training window was of it")
        return label, {
            name: self._modality(name, column, label, rng)
            for column, name in enumerate(self.statistics)
        }

    def _modality(
        self, name: str, column: int, label: int, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        rows = self.statistics[name][:, label].astype(np.float64)
        level, level_std, amplitude_1, amplitude_2, phase_1, phase_2, noise_std, memory = rows
        length = self.lengths[name]
        spread = _LEVEL_SPREAD if length > 1 else 1.0
        cycles = self.cycles[label, column] * (1 + _CYCLES_SPREAD * rng.standard_normal())
        turn = 2 * np.pi * (cycles * np.arange(length) / length + rng.random())[:, None]
        values = (
            level
            + spread * level_std * rng.standard_normal(len(level))
            + amplitude_1 * np.cos(turn + phase_1)
            + amplitude_2 * np.cos(2 * turn + phase_2)
            + noise_std * _first_order_noise(length, memory, rng)
        )  # [length, channels]
        if name in self.missing:
            values[rng.random(values.shape) < self.missing[name][label]] = np.nan
        drawn: NDArray[np.float32] = values.astype(np.float32)
        return drawn


def _statistics_key(name: str) -> str:
    return f"statistics.{name}"


def _missing_key(name: str) -> str:
    return f"missing.{name}"


def _describe_class(values: Floats) -> tuple[Floats, float]:
    """Statistics ``[statistics, channels]`` and cycles of one class's ``[n, time, channels]``."""
    known = ~np.isnan(values)
    level = _mean(values, known, axis=(0, 1))
    window_known = np.asarray(known.any(axis=1))
    window_level = _mean(values, known, axis=1)  # [n, channels]
    level_std = np.sqrt(_mean((window_level - level) ** 2, window_known, axis=0))
    swing = np.where(known, values - window_level[:, None], 0.0)
    length, channels = values.shape[1:]
    if length < 4:
        noise = np.sqrt(_mean(swing**2, known, axis=(0, 1)))
        still = np.zeros(channels)
        return np.stack([level, level_std, still, still, still, still, noise, still]), 0.0
    spectrum = np.fft.rfft(swing, axis=1) / length  # [n, bins, channels]
    (amplitude_1, phase_1), (amplitude_2, phase_2), rest, cycles = _oscillation(spectrum)
    angle = 2 * np.pi * np.arange(len(rest)) / length
    noise_power = rest.sum(axis=0)
    memory = (rest * np.cos(angle)[:, None]).sum(axis=0) / np.maximum(noise_power, 1e-12)
    rows = [level, level_std, amplitude_1, amplitude_2, phase_1, phase_2]
    return np.stack([*rows, np.sqrt(noise_power), np.clip(memory, -0.99, 0.99)]), cycles


def _oscillation(
    spectrum: Complex,
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats], Floats, float]:
    """Amplitude and phase of two harmonics, mean power of the rest by bin, cycles per window."""
    power = 2 * np.abs(spectrum) ** 2  # variance in each bin
    scale = np.maximum(power.sum(axis=1).mean(axis=0), 1e-12)
    relative = power / scale  # so that no unit outweighs another
    relative[:, 0] = 0.0
    bins = power.shape[1]
    dominant = relative.sum(axis=2)[:, : max(2, bins // 2)].argmax(axis=1)  # [n]
    dominant = np.maximum(dominant, 1)
    each = np.arange(len(spectrum))
    reference_channel = relative[each, dominant].mean(axis=0).argmax()
    reference = np.exp(-1j * np.angle(spectrum[each, dominant, reference_channel]))[:, None]
    harmonics = []
    rest = power.copy()
    for order in (1, 2):
        centre = np.minimum(order * dominant, bins - 1)
        band = np.abs(np.arange(bins) - centre[:, None]) <= 1  # leakage stays with its peak
        taken = np.where(band[..., None], rest, 0.0)
        rest -= taken
        amplitude = np.sqrt(2 * taken.sum(axis=1).mean(axis=0))
        aligned = spectrum[each, centre] * reference**order
        harmonics.append((amplitude, np.angle(aligned.sum(axis=0))))
    return harmonics[0], harmonics[1], rest.mean(axis=0), float(np.median(dominant))


def _first_order_noise(length: int, memory: Floats, rng: np.random.Generator) -> Floats:
    """Noise of unit variance whose neighbours correlate by ``memory``, ``[length, channels]``."""
    fresh = rng.standard_normal((length, len(memory)))
    fresh[1:] *= np.sqrt(1 - memory**2)
    for i in range(1, length):
        fresh[i] += memory * fresh[i - 1]
    return fresh


def _mean(values: Floats, known: NDArray[np.bool_], axis: int | tuple[int, ...]) -> Floats:
    """Mean of the known values; 0 where there is none."""
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean: Floats = total / np.maximum(known.sum(axis=axis), 1)
    return mean
