"""Splits by group, so that no person, day or machine stands on two sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError, DataError

Groups = tuple[int, ...]

_RANGE = re.compile(r"(?:(\d+)\s*<=\s*)?\b[A-Za-z_]\w*\s*(<=|>=)\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Split:
    """Groups to train on, to choose on and to report on once.

    Raises:
        ConfigError: A part is empty, or a group stands in two parts.
    """

    train: Groups
    val: Groups
    test: Groups

    def __post_init__(self) -> None:
        if not (self.train and self.val and self.test):
            raise ConfigError("a split needs at least one group in each of train, val and test")
        shared = (set(self.train) & {*self.val, *self.test}) | (set(self.val) & set(self.test))
        if shared:
            raise ConfigError(f"groups {sorted(shared)} stand in two parts of the split")


def recommended_split(windows: WindowSet) -> Split:
    """Return the split that the data set recommends, else one of 60 / 20 / 20 % of its groups.

    Raises:
        DataError: The recommendation cannot be understood, or there are fewer than three groups.
    """
    groups = np.unique(windows.group)
    recommended = windows.meta.get("recommended_split")
    try:
        if recommended:
            return Split(*(_named(recommended, part, groups) for part in ("train", "val", "test")))
        return _deterministic_split(groups)
    except ConfigError as error:
        raise DataError(f"{windows.name}: {error}") from error


def _named(recommended: Mapping[str, Any], part: str, groups: NDArray[np.int64]) -> Groups:
    """Groups of one part: a list of them, or a range such as ``10 <= id <= 20``."""
    value = recommended.get(part)
    if isinstance(value, list):
        return tuple(int(g) for g in value)
    match = _RANGE.search(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(f"recommended_split[{part!r}] must be a list or a range, got {value!r}")
    low, relation, bound = match.groups()
    chosen = groups <= int(bound) if relation == "<=" else groups >= int(bound)
    if low is not None:
        chosen &= groups >= int(low)
    return tuple(groups[chosen].tolist())


def _deterministic_split(groups: NDArray[np.int64]) -> Split:
    if len(groups) < 3:
        raise ConfigError(f"needs 3 groups or more to split without a leak, has {len(groups)}")
    order = np.random.default_rng(0).permutation(groups).tolist()
    held_out = max(1, round(0.2 * len(order)))
    return Split(
        train=tuple(sorted(order[2 * held_out :])),
        val=tuple(sorted(order[held_out : 2 * held_out])),
        test=tuple(sorted(order[:held_out])),
    )
