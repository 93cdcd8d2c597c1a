"""How a node follows its power cap: settling time, error and excess, from a meter's readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.watch import PowerSample

BAND = 0.05
"""A second whose mean power is above the cap by more than this part of it breaks the cap."""
_STEP_S = 0.25
"""How finely settling times are told; each is judged by the mean of the second that follows."""
_KEPT_S = 3.0
_SHORTEST_S = 4.5
_SLACK_S = 0.1  # a step is made when the server confirms it, some milliseconds late


@dataclass(frozen=True, slots=True)
class Second:
    """Mean power over one second."""

    from_s: float
    power_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The time between two steps of the cap."""

    from_s: float
    to_s: float
    cap_w: float
    before_w: float
    """Mean power in the two seconds before the step; of its first second, if that began it all."""
    seconds: tuple[Second, ...]
    """Whole seconds of the phase, counted from the step."""
    settle_s: float | None
    """From the step until power keeps to the cap; None if it never did."""

    @property
    def settled(self) -> tuple[Second, ...]:
        """The seconds after that."""
        if self.settle_s is None:
            return self.seconds  # it never settled: everything counts
        return tuple(s for s in self.seconds if s.from_s >= self.from_s + self.settle_s)

    @property
    def mean_w(self) -> float:
        """Mean power over the settled seconds."""
        return float(np.mean([s.power_w for s in self.settled]))


def phases(
    samples: Sequence[PowerSample], steps: Sequence[tuple[float, float | None]], end_s: float
) -> tuple[Phase, ...]:
    """Cut a run at the steps of its cap; stretches without a cap are left out.

    Args:
        samples: Readings of the meter's counter, in order.
        steps: When the cap was set, and to what.
        end_s: End of the run; without readings at its end, that of the last one.
    """
    found = []
    ends = [at_s for at_s, _ in steps[1:]] + [min(end_s, samples[-1].at_s)]
    for (from_s, cap_w), to_s in zip(steps, ends, strict=True):
        if cap_w is None or to_s - from_s < _SHORTEST_S:
            continue
        seconds = tuple(
            Second(from_s + i, mean_power_w(samples, from_s + i, from_s + i + 1))
            for i in range(int(to_s - from_s + _SLACK_S))
        )
        known = from_s - samples[0].at_s >= 1
        before_w = mean_power_w(samples, from_s - 2, from_s) if known else seconds[0].power_w
        least_w = _least_w(seconds, cap_w) if before_w < cap_w else 0.0
        settle_s = _settle_s(samples, from_s, to_s, least_w, (1 + BAND) * cap_w)
        found.append(
            Phase(
                from_s=from_s,
                to_s=to_s,
                cap_w=cap_w,
                before_w=before_w,
                seconds=seconds,
                settle_s=settle_s,
            )
        )
    return tuple(found)


def mean_power_w(samples: Sequence[PowerSample], from_s: float, to_s: float) -> float:
    """Mean power over a stretch: the difference of the counter, read between its samples."""
    at_s = [s.at_s for s in samples]
    energy_j = [s.energy_j for s in samples]
    from_s, to_s = max(from_s, at_s[0]), min(to_s, at_s[-1])
    if from_s >= to_s:
        raise ValueError(f"no two readings between {from_s} and {to_s} s")
    first_j, last_j = np.interp([from_s, to_s], at_s, energy_j)
    return float((last_j - first_j) / (to_s - from_s))


def _least_w(seconds: Sequence[Second], cap_w: float) -> float:
    """Power that a step up must come to: load may need less than the cap allows."""
    ends_up_w = float(np.mean([s.power_w for s in seconds[len(seconds) // 2 :]]))
    return (1 - BAND) * min(ends_up_w, cap_w)


def _settle_s(
    samples: Sequence[PowerSample], from_s: float, to_s: float, least_w: float, most_w: float
) -> float | None:
    """Time from a step until the mean power of any second stays in between, for three seconds."""
    starts_s = np.arange(from_s, to_s - 1 + 1e-9, _STEP_S)
    kept = [least_w <= mean_power_w(samples, at_s, at_s + 1) <= most_w for at_s in starts_s]
    needed = int(_KEPT_S / _STEP_S)
    for i in range(len(kept) - needed):
        if all(kept[i : i + needed + 1]):
            return i * _STEP_S
    return None
