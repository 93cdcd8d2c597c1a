"""Telling a sensor that stumbles from one that has fallen."""

from __future__ import annotations

from sentryfuse.energy.meter import Fault

# A single bad reading is common: a bus was busy, a counter was read while it was written.
TROUBLE_AFTER = 3


class Streak:
    """Bad readings in a row; so many of them are trouble."""

    def __init__(self) -> None:
        self._length = 0
        self._latest: Fault | None = None

    @property
    def trouble(self) -> Fault | None:
        """The latest fault of a streak that is too long."""
        return self._latest if self._length >= TROUBLE_AFTER else None

    def good(self) -> None:
        """End the streak."""
        self._length = 0

    def bad(self, fault: Fault) -> None:
        """Add a bad reading."""
        self._length += 1
        self._latest = fault
