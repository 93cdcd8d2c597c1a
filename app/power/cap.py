"""Who sets the node's power cap: a fixed figure, or a schedule that is followed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from app.scheduling.cap_schedule import CapSchedule, parse_schedule
from app.scheduling.power_gate import PowerGate
from app.site.reading import SiteReading

_DAY_S = 86_400.0


class CapError(ValueError):
    """A cap that is no more than the idle power; nothing could ever run under it.

    Args:
        cap_w: The cap.
        idle_power_w: What it must be above.
    """

    def __init__(self, cap_w: float, idle_power_w: float) -> None:
        super().__init__(
            f"a cap must be above the idle power of {idle_power_w:g} W, got {cap_w:g} W"
        )


class CapBoard(Protocol):
    """Where the processes of a service read and write the node's cap."""

    def put_cap(self, content: Mapping[str, object]) -> None:
        """Tell the others."""
        ...

    def cap_news(self) -> Mapping[str, Any] | None:
        """What another one has told since the last call."""
        ...


class Site(Protocol):
    """Several nodes with one cap, of which this is one."""

    def cap_w(self) -> float:
        """Power that this node may draw now."""
        ...

    def reading(self) -> SiteReading | None:
        """How this node stands; None while that is not known."""
        ...


class CapControl:
    """Sets the cap of the power gate.

    Of several processes each keeps to its share: the node's idle power, and an even part of what
    the cap allows beyond it. So together they keep the cap whatever each of them does.

    Args:
        gate: Keeps the cap.
        clock: Monotone seconds.
        wall_clock: Seconds since 1970, for times of day.
        shares: Processes that share what the cap allows.
        board: Where they tell each other what it is; None for a single one.
        site: No cap is above what it leaves this node; None for a node on its own.
    """

    def __init__(
        self,
        gate: PowerGate,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        shares: int = 1,
        board: CapBoard | None = None,
        site: Site | None = None,
    ) -> None:
        self._gate = gate
        self.site = site
        self._clock = clock
        self._wall_clock = wall_clock
        self._shares = shares
        self._board = board
        self._cap_w = gate.cap_w
        self._schedule: CapSchedule | None = None
        self._set_s = 0.0
        self.battery_ratio: float | None = None
        """Charge of the battery; None if there is none to read."""
        self._set(self._cap_w)

    @property
    def cap_w(self) -> float | None:
        """The node's cap now; None for no cap."""
        if self.site is None:
            return self._cap_w
        return min(self.site.cap_w(), math.inf if self._cap_w is None else self._cap_w)

    @property
    def schedule(self) -> CapSchedule | None:
        """What is followed; None for a fixed cap or none."""
        return self._schedule

    @property
    def asks_battery(self) -> bool:
        """Whether the schedule depends on the battery's charge."""
        return self._schedule is not None and bool(self._schedule.battery)

    def fix(self, cap_w: float | None) -> None:
        """Set a cap, or lift it; a schedule is no longer followed.

        Raises:
            CapError: The cap is no more than the idle power.
        """
        self._check(cap_w)
        self._schedule = None
        self._set(cap_w)
        if self._board is not None:
            self._board.put_cap({"cap_w": cap_w})

    def follow(self, schedule: CapSchedule, *, tell: bool = True) -> None:
        """Follow a schedule from now on.

        Args:
            schedule: What to follow.
            tell: Whether other processes are to follow it too.

        Raises:
            CapError: A cap in it is no more than the idle power.
        """
        for cap_w in schedule.caps_w():
            self._check(cap_w)
        self._schedule, self._set_s = schedule, self._clock()
        self._keep_to_schedule()
        if tell and self._board is not None:
            self._board.put_cap({"schedule": schedule.to_json(), "at_s": self._wall_clock()})

    def update(self) -> bool:
        """Set the cap that is asked for now, here or by another process; whether it changed."""
        before_w = self._gate.cap_w
        news = None if self._board is None else self._board.cap_news()
        if news is not None:
            self._take_over(news)
        if self._schedule is not None:
            self._keep_to_schedule()
        else:
            self._set(self._cap_w)  # the share moves with the idle power, which a meter may learn
        return self._gate.cap_w != before_w

    def _take_over(self, news: Mapping[str, Any]) -> None:
        if "schedule" in news:
            self._schedule = parse_schedule(news["schedule"])
            self._set_s = self._clock() - max(self._wall_clock() - news["at_s"], 0.0)
        else:
            self._schedule, self._cap_w = None, news["cap_w"]

    def _keep_to_schedule(self) -> None:
        assert self._schedule is not None
        since_s = self._clock() - self._set_s
        time_of_day_s = self._wall_clock() % _DAY_S
        self._set(self._schedule.cap_at(time_of_day_s, since_s, self.battery_ratio))

    def _set(self, cap_w: float | None) -> None:
        self._cap_w = cap_w
        share_w = cap_w = self.cap_w
        if cap_w is not None and self._shares > 1:
            idle_w = self._gate.idle_power_w
            share_w = idle_w + (cap_w - idle_w) / self._shares
        if share_w != self._gate.cap_w:
            self._gate.set_cap(share_w, self._clock())

    def _check(self, cap_w: float | None) -> None:
        if cap_w is not None and cap_w <= self._gate.idle_power_w:
            raise CapError(cap_w, self._gate.idle_power_w)
