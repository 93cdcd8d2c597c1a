"""Splits by group, so that no person, day or machine stands on two sides."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError, DataError

Groups = tuple[int, ...]

_HELD_OUT = 0.2
_REMARK = re.compile(r"\([^()]*\)")
_COMPARISON = re.compile(r"(?:(-?\d+)\s*(<=?)\s*)?[A-Za-z_]\w*\s*([<>]=?)\s*(-?\d+)")
_LISTING = re.compile(
    r"(?:(?:group|id|subject|person|participant|patient|user|speaker|day|session|segment)s?\s+)?"
    r"(\d+(?:\s*(?:,|-|\u2013|\band\b|\bto\b)\s*\d+)*)"
)
_SPAN = re.compile(r"(\d+)(?:\s*(?:-|\u2013|to)\s*(\d+))?")
_COMPARE: Mapping[str, Callable[[NDArray[np.int64], int], NDArray[np.bool_]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">="}


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

    A part is a list of groups, or words such as ``"10 <= id <= 20 (a remark)"`` or
    ``"subjects 1-5, 8"``. Groups that the data do not hold are left out. Where no ``val`` is
    recommended, a fifth of the training groups becomes it.

    Raises:
        DataError: The recommendation cannot be understood, or there are fewer than three groups.
    """
    groups = np.unique(windows.group)
    recommended = windows.meta.get("recommended_split")
    try:
        if not recommended:
            return _deterministic_split(groups)
        if not isinstance(recommended, Mapping):
            raise ConfigError(f"recommended_split must be an object, got {recommended!r:.80}")
        train, test = (_named(recommended, part, groups) for part in ("train", "test"))
        if recommended.get("val") is not None:
            return Split(train, _named(recommended, "val", groups), test)
        return Split(*_hold_out(train), test)
    except ConfigError as error:
        raise DataError(f"{windows.name}: {error}") from error


def _named(recommended: Mapping[str, Any], part: str, groups: NDArray[np.int64]) -> Groups:
    """Groups of one part, ascending."""
    value = recommended.get(part)
    if isinstance(value, list) and all(type(g) is int for g in value):
        chosen = np.isin(groups, value)
    elif isinstance(value, str):
        chosen = _in_words(value, groups)
    else:
        raise ConfigError(
            f"recommended_split[{part!r}] must be a list of groups or a range, got {value!r:.80}"
        )
    if not chosen.any():
        raise ConfigError(f"recommended_split[{part!r}] is {value!r:.80}: no such group here")
    return tuple(groups[chosen].tolist())


def _in_words(text: str, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which groups a comparison or a listing in words means; what is in brackets is a remark."""
    plain = _REMARK.sub("", text).strip()
    if match := _COMPARISON.fullmatch(plain):
        low, low_relation, relation, bound = match.groups()
        chosen = _COMPARE[relation](groups, int(bound))
        if low is not None:
            chosen &= _COMPARE[_MIRRORED[low_relation]](groups, int(low))
        return chosen
    if match := _LISTING.fullmatch(plain):
        chosen = np.zeros(len(groups), dtype=np.bool_)
        for first, last in _SPAN.findall(match[1]):
            chosen |= (groups >= int(first)) & (groups <= int(last or first))
        return chosen
    raise ConfigError(
        f"recommended_split: {text!r:.120} is neither a comparison such as '10 <= id <= 20' "
        "nor a listing such as '1-5, 8'"
    )


def _deterministic_split(groups: NDArray[np.int64]) -> Split:
    if len(groups) < 3:
        raise ConfigError(f"needs 3 groups or more to split without a leak, has {len(groups)}")
    held_out = max(1, round(_HELD_OUT * len(groups)))
    order = np.random.default_rng(0).permutation(groups).tolist()
    return Split(
        train=tuple(sorted(order[2 * held_out :])),
        val=tuple(sorted(order[held_out : 2 * held_out])),
        test=tuple(sorted(order[:held_out])),
    )


def _hold_out(train: Groups) -> tuple[Groups, Groups]:
    """Train and val out of the groups recommended for training."""
    if len(train) < 2:
        raise ConfigError("recommended_split names no 'val' and only one training group")
    held_out = max(1, round(_HELD_OUT * len(train)))
    order = np.random.default_rng(0).permutation(train).tolist()
    return tuple(sorted(order[held_out:])), tuple(sorted(order[:held_out]))
