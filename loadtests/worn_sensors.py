"""Sensors of one wearer that come and go, for whoever sends one request after the other."""

from __future__ import annotations

import random
from collections.abc import Sequence


class WornSensors:
    """Each sensor stays for a while, then is away for a while; the last one never goes.

    Args:
        names: Of the sensors.
        up_s: Mean time that one is there.
        down_s: Mean time that one is away; 0 for sensors that never go.
        chance: Draws the times.
        now_s: Reading of the clock at the start, at which all are there.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        up_s: float,
        down_s: float,
        chance: random.Random,
        now_s: float,
    ) -> None:
        self._up_s, self._down_s, self._chance = up_s, down_s, chance
        self._there = dict.fromkeys(names, True)
        self._changes_s = {name: now_s + self._stay_s(True) for name in names}

    def at(self, now_s: float) -> tuple[str, ...]:
        """The sensors that are there; times must not go back."""
        while (name := min(self._changes_s, key=self._changes_s.__getitem__)) and (
            self._changes_s[name] <= now_s
        ):
            last = self._there[name] and sum(self._there.values()) == 1
            self._there[name] = last or not self._there[name]
            self._changes_s[name] += self._stay_s(self._there[name])
        return tuple(name for name, there in self._there.items() if there)

    def _stay_s(self, there: bool) -> float:
        if self._down_s <= 0:
            return float("inf")
        return self._chance.expovariate(1 / (self._up_s if there else self._down_s))
