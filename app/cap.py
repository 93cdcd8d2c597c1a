"""Who sets the node's power cap: a fixed figure, or a schedule that is followed."""

from __future__ import annotations

from collections.abc import Callable

from app.scheduling.cap_schedule import CapSchedule
from app.scheduling.power_gate import PowerGate

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


class CapControl:
    """Sets the cap of the power gate.

    Args:
        gate: Keeps the cap.
        clock: Monotone seconds.
        wall_clock: Seconds since 1970, for times of day.
    """

    def __init__(
        self,
        gate: PowerGate,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._wall_clock = wall_clock
        self._schedule: CapSchedule | None = None
        self._set_s = 0.0
        self.battery_ratio: float | None = None
        """Charge of the battery; None if there is none to read."""

    @property
    def cap_w(self) -> float | None:
        """The cap now; None for no cap."""
        return self._gate.cap_w

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
        self._gate.set_cap(cap_w, self._clock())

    def follow(self, schedule: CapSchedule) -> None:
        """Follow a schedule from now on.

        Raises:
            CapError: A cap in it is no more than the idle power.
        """
        for cap_w in schedule.caps_w():
            self._check(cap_w)
        self._schedule, self._set_s = schedule, self._clock()
        self.update()

    def update(self) -> bool:
        """Set the cap that the schedule asks for now; return whether it changed."""
        if self._schedule is None:
            return False
        now_s = self._clock()
        cap_w = self._schedule.cap_at(
            self._wall_clock() % _DAY_S, now_s - self._set_s, self.battery_ratio
        )
        if cap_w == self._gate.cap_w:
            return False
        self._gate.set_cap(cap_w, now_s)
        return True

    def _check(self, cap_w: float | None) -> None:
        if cap_w is not None and cap_w <= self._gate.idle_power_w:
            raise CapError(cap_w, self._gate.idle_power_w)
