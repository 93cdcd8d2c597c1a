"""What accuracy to expect of a variant: measured on few subjects, so pooled before it is believed.

A bundle's table is often measured on one person, day or machine. Its cells then say as much about
that subject as about the model: raw, it made pruning, or losing a sensor, look like a gain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.presence import Presence

# How many independent windows the subject measured is worth, when another subject's accuracy is
# to be told from it. It was 912 windows in the study that chose this figure, of the shipped
# recipe on subjects held out (benchmarks/records/expected_accuracy.json).
WORTH_WINDOWS = 60.0
# Weight of a presence in the typical loss of another one, for each modality that they differ in
# number. Hardly matters where a size has many presences; of the full size there is just one.
_SIZE_DECAY = 0.25

Rows = Mapping[int, tuple[float, ...]]


@dataclass(frozen=True)
class AccuracyTable:
    """Accuracy by presence and pruning ratio, measured on validation data.

    Args:
        permilles: Ratios measured, in thousandths, ascending from 0.
        rows: Accuracy in [0, 1] by presence bits, one value for each of ``permilles``.
        pooled: The rows are no longer those measured: see :attr:`smoothed`.

    Raises:
        ConfigError: The ratios do not ascend from 0, or a row is not one of accuracies.
    """

    permilles: tuple[int, ...]
    rows: Rows
    pooled: bool = False

    def __post_init__(self) -> None:
        if self.permilles[:1] != (0,) or list(self.permilles) != sorted(set(self.permilles)):
            raise ConfigError(f"accuracy: permilles must ascend from 0, got {self.permilles}")
        for bits, row in self.rows.items():
            if bits < 1:
                raise ConfigError(f"accuracy: presence bits must be positive, got {bits}")
            if len(row) != len(self.permilles) or not all(0 <= a <= 1 for a in row):
                raise ConfigError(
                    f"accuracy of presence {bits:x} must be {len(self.permilles)} numbers "
                    f"in [0, 1], got {row}"
                )

    @cached_property
    def smoothed(self) -> AccuracyTable:
        """The table to believe; its own ``smoothed`` is itself. Computed once."""
        if self.pooled or not self.rows:
            return self
        return AccuracyTable(self.permilles, smooth(self.rows), pooled=True)

    def expected(self, presence: Presence, permille: int) -> float:
        """Accuracy to expect at a ratio; never rises with the ratio.

        Smoothed (:func:`smooth`), and interpolated linearly between the measured ratios. A
        presence that was not measured (there are many with ten modalities) is expected to do as
        well as the mean of those measured with equally many modalities present.

        Raises:
            BundleError: No presence of that size was measured.
        """
        rows = self.smoothed.rows
        row = rows.get(presence.bits)
        if row is None:
            peers = [r for bits, r in rows.items() if bits.bit_count() == len(presence)]
            if not peers:
                raise BundleError(f"accuracy table has nothing like presence {presence.hex}")
            row = tuple(np.mean(peers, axis=0).tolist())
        return float(np.interp(permille, self.permilles, row))


def smooth(rows: Rows, *, worth_windows: float = WORTH_WINDOWS) -> dict[int, tuple[float, ...]]:
    """Pool what was measured until it can be expected of another subject.

    A row is drawn towards the typical row of presences with equally many modalities: their mean
    unpruned accuracy, minus the mean loss by pruning of presences of about that size. How far
    follows from two variances (James and Stein's estimator, with its positive part): that of a
    subject worth ``worth_windows`` independent windows, a(1 - a) / worth, and that observed
    between the presences. Where presences differ no more than one presence would between
    subjects, all take the typical row; where they differ far more, they keep their own. Last,
    each row is made non-increasing (pool adjacent violators).

    Args:
        rows: Accuracy in [0, 1] by presence bits, by ascending pruning ratio; at least one.
        worth_windows: Infinite: rows are only made non-increasing.

    Returns:
        The same presences, in the same order.
    """
    size = np.array([bits.bit_count() for bits in rows])
    measured = np.array(list(rows.values()), dtype=np.float64)  # [presences, ratios]
    typical = _typical_rows(measured, size)
    pooled = measured.copy()
    if np.isfinite(worth_windows):
        for count in sorted({*size.tolist()}):
            peers = size == count
            own = _own_weight(measured[peers], worth_windows)
            pooled[peers] = typical[peers] + own * (measured[peers] - typical[peers])
    pooled = np.clip(pooled, 0.0, 1.0)
    return {bits: _descending(row) for bits, row in zip(rows, pooled.tolist(), strict=True)}


def _typical_rows(measured: NDArray[np.float64], size: NDArray[np.int64]) -> NDArray[np.float64]:
    """The row expected of each presence's size alone, ``[presences, ratios]``."""
    sizes, which, count = np.unique(size, return_inverse=True, return_counts=True)
    member = np.equal.outer(np.arange(len(sizes)), which).astype(np.float64)
    mean = member @ measured / count[:, None]  # [sizes, ratios]
    weight = count * _SIZE_DECAY ** np.abs(np.subtract.outer(sizes, sizes))
    loss = weight @ (mean[:, :1] - mean) / weight.sum(axis=1, keepdims=True)
    typical: NDArray[np.float64] = (mean[:, :1] - loss)[which]
    return typical


def _own_weight(peers: NDArray[np.float64], worth_windows: float) -> float:
    """How much of what sets presences of one size apart another subject would show too."""
    if len(peers) < 2:
        return 0.0
    mean = peers.mean(axis=0)
    noise = float((mean * (1 - mean)).mean()) / worth_windows
    observed = float(peers.var(axis=0, ddof=1).mean())
    return max(0.0, 1.0 - noise / observed) if observed > 0 else 0.0


def _descending(row: Iterable[float]) -> tuple[float, ...]:
    """The non-increasing row nearest in squares (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []  # level, how many values share it
    for value in row:
        level, count = value, 1
        while pools and pools[-1][0] < level:
            before, many = pools.pop()
            level = (before * many + level * count) / (many + count)
            count += many
        pools.append((level, count))
    return tuple(level for level, count in pools for _ in range(count))
