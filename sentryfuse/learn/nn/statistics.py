"""Statistics of windows and of their steps, column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

# Keeps square roots, logarithms and their gradients finite where a channel does not move.
VARIANCE_FLOOR = 1e-6
CHANGE_FLOOR = 1e-3


def step_features(x: Tensor, step_length: int) -> Tensor:
    """Describe each step: mean, logarithm of deviation, logarithm of mean change.

    Args:
        x: ``[batch, time, channels]``; a rest shorter than a step is left out.
        step_length: Samples in a step, two or more.

    Returns:
        ``[batch, steps, 3 * channels]``.
    """
    whole = x.shape[1] // step_length * step_length
    steps = x[:, :whole].reshape(len(x), -1, step_length, x.shape[2])
    return torch.cat([steps.mean(dim=2), _log_deviation(steps, 2), _log_change(steps, 2)], dim=2)


def summarise(x: Tensor, known: Tensor | None, names: Sequence[str]) -> Tensor:
    """Return the named statistics over time, ``[batch, statistics * columns]``.

    Args:
        x: ``[batch, time, columns]``; zero where it is not known.
        known: Which values were measured, of the same shape; None if all. Statistics are those
            of the measured ones, and zero for a column that has none.
        names: Which statistics, and in which order; see ``BackboneSpec.statistics``.
    """
    window = _Window(x, known)
    return torch.cat([_STATISTICS[name](window) for name in names], dim=1)


class _Window:
    """A window and what several statistics need of it."""

    def __init__(self, x: Tensor, known: Tensor | None) -> None:
        self.x, self.known = x, known
        measured = torch.ones_like(x) if known is None else known.to(x.dtype)
        count = measured.sum(dim=1)
        self._per_value = 1 / count.clamp(min=1)
        self.share = count / x.shape[1]
        self.mean = self._average(x)
        self._centred = (x - self.mean[:, None]) * measured
        self.variance = self._average(self._centred.square())

    def _average(self, x: Tensor) -> Tensor:
        """Average over the measured values; ``x`` is zero at the others."""
        return x.sum(dim=1) * self._per_value

    @cached_property
    def slope(self) -> Tensor:
        """Mean of the centred values times time, which runs from -1 to 1."""
        time = torch.linspace(-1, 1, self.x.shape[1], dtype=self.x.dtype)
        return self._average(self._centred * time[:, None])

    @cached_property
    def last(self) -> Tensor:
        """The last measured value, zero if there is none."""
        assert self.known is not None
        # Counted from 1, so that 0 is never; unknown values are zero, wherever they match.
        moment = torch.arange(1, self.x.shape[1] + 1)[:, None] * self.known
        return (self.x * (moment == moment.amax(dim=1, keepdim=True))).sum(dim=1)

    def extreme(self, largest: bool) -> Tensor:
        """Return the largest or smallest measured value, zero if there is none."""
        find = torch.amax if largest else torch.amin
        if self.known is None:
            return find(self.x, dim=1)
        out_of_reach = -torch.inf if largest else torch.inf
        found = find(torch.where(self.known, self.x, out_of_reach), dim=1)
        return torch.where(self.share > 0, found, 0.0)


def _log_deviation(x: Tensor, dim: int) -> Tensor:
    # Several times as fast as Tensor.var over an axis that is not the last.
    variance = (x - x.mean(dim=dim, keepdim=True)).square().mean(dim=dim)
    return 0.5 * (variance + VARIANCE_FLOOR).log()


def _log_change(x: Tensor, dim: int) -> Tensor:
    """Logarithm of the mean absolute step from one value to the next."""
    return (x.diff(dim=dim).abs().mean(dim=dim) + CHANGE_FLOOR).log()


_STATISTICS: dict[str, Callable[[_Window], Tensor]] = {
    "mean": lambda w: w.mean,
    "deviation": lambda w: (w.variance + VARIANCE_FLOOR).sqrt(),
    "minimum": lambda w: w.extreme(largest=False),
    "maximum": lambda w: w.extreme(largest=True),
    "log_deviation": lambda w: 0.5 * (w.variance + VARIANCE_FLOOR).log(),
    "slope": lambda w: w.slope,
    "log_change": lambda w: _log_change(w.x, 1),
    "last": lambda w: w.last,
    "ever": lambda w: (w.share > 0).to(w.x.dtype),
    "share": lambda w: w.share,
}
