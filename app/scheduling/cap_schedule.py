"""A power cap that follows the clock, the sun and the battery."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_DAY_S = 86_400.0
_HIGHEST_CAP_W = 1e6
_LONGEST_S = 1e9
_MOST_ENTRIES = 1000
_CLOCK = "a time of day HH:MM or HH:MM:SS from 00:00 to 23:59:59"


class ScheduleError(ValueError):
    """A schedule makes no sense; the message names the field, what was seen and what is allowed.

    Args:
        field: Where in the schedule, such as ``schedule.steps[1].at``.
        allowed: What may stand there.
        seen: What stands there.
    """

    def __init__(self, field: str, allowed: str, seen: object) -> None:
        super().__init__(f"{field} must be {allowed}, got {repr(seen)[:100]}")
        self.field = field


@dataclass(frozen=True, slots=True)
class DayStep:
    """From this time of day on, until the next step of the day, the cap is this."""

    at_s: float
    cap_w: float | None


@dataclass(frozen=True, slots=True)
class DelayStep:
    """So long after the schedule was set, until the next such step, the cap is this."""

    after_s: float
    cap_w: float | None


@dataclass(frozen=True, slots=True)
class SolarPoint:
    """The cap at this time of day; straight lines in between."""

    at_s: float
    cap_w: float


@dataclass(frozen=True, slots=True)
class BatteryRule:
    """While the battery holds less than this part of its charge, the cap is this."""

    below_ratio: float
    cap_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CapSchedule:
    """Caps by time of day, by time since it was set, by a solar curve and by battery charge.

    Of all that apply the smallest wins. Steps of the day go round: before the first one, the last
    one of yesterday holds. Steps since it was set hold from their moment on; with ``repeat_s``
    they begin anew, and the last one holds until the first comes round. Before the first and
    after the last point the solar curve is flat. Battery rules need a battery that can be read.

    :func:`parse_schedule` makes one and checks it.
    """

    day: tuple[DayStep, ...] = ()
    """Ascending in time."""
    delays: tuple[DelayStep, ...] = ()
    """Ascending in time."""
    solar: tuple[SolarPoint, ...] = ()
    """Ascending in time."""
    battery: tuple[BatteryRule, ...] = ()
    repeat_s: float | None = None
    """How long one round of the delay steps takes; None for only one."""
    utc_offset_hours: float = 0.0
    """Local time minus UTC; times of day are local."""

    def cap_at(
        self, utc_s_of_day: float, since_set_s: float, battery_ratio: float | None = None
    ) -> float | None:
        """The cap at a moment.

        Args:
            utc_s_of_day: Seconds since midnight UTC.
            since_set_s: Seconds since the schedule was set.
            battery_ratio: Charge of the battery, in [0, 1]; None if there is none to read.

        Returns:
            The smallest cap that applies, in watts; None if none does.
        """
        local_s = (utc_s_of_day + 3600 * self.utc_offset_hours) % _DAY_S
        caps = [self._day_cap_w(local_s), self._delay_cap_w(since_set_s), self._solar_w(local_s)]
        if battery_ratio is not None:
            caps += [rule.cap_w for rule in self.battery if battery_ratio < rule.below_ratio]
        return min((cap for cap in caps if cap is not None), default=None)

    def caps_w(self) -> tuple[float, ...]:
        """Every cap that is written in it, ascending: for checks against the idle power."""
        stepped = {step.cap_w for step in self.day} | {step.cap_w for step in self.delays}
        others = {point.cap_w for point in self.solar} | {rule.cap_w for rule in self.battery}
        return tuple(sorted(cap for cap in stepped | others if cap is not None))

    def to_json(self) -> dict[str, Any]:
        """The schedule as :func:`parse_schedule` reads it."""
        steps = [{"at": _clock(s.at_s), "cap_w": s.cap_w} for s in self.day]
        steps += [{"after_s": s.after_s, "cap_w": s.cap_w} for s in self.delays]
        solar = [{"at": _clock(p.at_s), "cap_w": p.cap_w} for p in self.solar]
        rules = [{"battery_below": r.below_ratio, "cap_w": r.cap_w} for r in self.battery]
        written: dict[str, Any] = {"steps": steps + rules, "solar": solar}
        written = {name: entries for name, entries in written.items() if entries}
        if self.repeat_s is not None:
            written["repeat_s"] = self.repeat_s
        if self.utc_offset_hours:
            written["utc_offset_hours"] = self.utc_offset_hours
        return written

    def _day_cap_w(self, local_s: float) -> float | None:
        if not self.day:
            return None
        return self.day[bisect_right(self.day, local_s, key=lambda step: step.at_s) - 1].cap_w

    def _delay_cap_w(self, since_set_s: float) -> float | None:
        round_s = since_set_s if self.repeat_s is None else since_set_s % self.repeat_s
        passed = bisect_right(self.delays, round_s, key=lambda step: step.after_s)
        if not self.delays or (passed == 0 and since_set_s == round_s):
            return None
        return self.delays[passed - 1].cap_w

    def _solar_w(self, local_s: float) -> float | None:
        if not self.solar:
            return None
        right = bisect_right(self.solar, local_s, key=lambda point: point.at_s)
        if right in (0, len(self.solar)):
            return self.solar[max(right - 1, 0)].cap_w
        before, after = self.solar[right - 1 : right + 1]
        share = (local_s - before.at_s) / (after.at_s - before.at_s)
        return before.cap_w + share * (after.cap_w - before.cap_w)


def parse_schedule(value: object) -> CapSchedule:
    """Check a schedule that was decoded from JSON.

    Args:
        value: An object with ``steps`` (each with ``cap_w`` and one of ``at``, ``after_s`` and
            ``battery_below``), ``solar`` (points with ``at`` and ``cap_w``), ``repeat_s`` and
            ``utc_offset_hours``, each of them optional.

    Raises:
        ScheduleError: A field is unknown, missing or makes no sense.
    """
    fields = _object("schedule", value, ("steps", "solar", "repeat_s", "utc_offset_hours"))
    day, delays, battery = _steps(_entries("schedule.steps", fields.get("steps", [])))
    solar = tuple(
        SolarPoint(_time(f"{where}.at", point.get("at")), _cap(f"{where}.cap_w", point))
        for where, entry in _entries("schedule.solar", fields.get("solar", []))
        for point in [_object(where, entry, ("at", "cap_w"))]
    )
    _ascending("schedule.solar", [point.at_s for point in solar])
    if not (day or delays or battery or solar):
        raise ScheduleError("schedule", "an object with at least one of steps and solar", value)
    offset_hours = _number(
        "schedule.utc_offset_hours", fields.get("utc_offset_hours", 0), "from -14 to 14", -14, 14
    )
    return CapSchedule(
        day=day,
        delays=delays,
        solar=solar,
        battery=battery,
        repeat_s=_repeat_s(fields, delays),
        utc_offset_hours=offset_hours,
    )


def _steps(
    entries: Iterable[tuple[str, object]],
) -> tuple[tuple[DayStep, ...], tuple[DelayStep, ...], tuple[BatteryRule, ...]]:
    day, delays, battery = [], [], []
    for where, entry in entries:
        step = _object(where, entry, ("at", "after_s", "battery_below", "cap_w"))
        when = [name for name in step if name != "cap_w"]
        if when == ["at"]:
            day.append(DayStep(_time(f"{where}.at", step["at"]), _cap_or_none(where, step)))
        elif when == ["after_s"]:
            after_s = _number(f"{where}.after_s", step["after_s"], "from 0 to 1e9", 0, _LONGEST_S)
            delays.append(DelayStep(after_s, _cap_or_none(where, step)))
        elif when == ["battery_below"]:
            name = f"{where}.battery_below"
            ratio = _number(name, step["battery_below"], "above 0 and at most 1", 1e-9, 1)
            battery.append(BatteryRule(ratio, _cap(f"{where}.cap_w", step)))
        else:
            allowed = "an object with cap_w and exactly one of at, after_s and battery_below"
            raise ScheduleError(where, allowed, entry)
    _ascending("schedule.steps, those with at,", [step.at_s for step in day])
    _ascending("schedule.steps, those with after_s,", [step.after_s for step in delays])
    return tuple(day), tuple(delays), tuple(battery)


def _repeat_s(fields: Mapping[str, object], delays: tuple[DelayStep, ...]) -> float | None:
    value = fields.get("repeat_s")
    if value is None:
        return None
    if not delays:
        raise ScheduleError("schedule.repeat_s", "left out without steps with after_s", value)
    last_s = delays[-1].after_s
    allowed = f"above the last after_s ({last_s:g}) and at most 1e9"
    repeat_s = _number("schedule.repeat_s", value, allowed, last_s, _LONGEST_S)
    if repeat_s == last_s:
        raise ScheduleError("schedule.repeat_s", f"a number {allowed}", value)
    return repeat_s


def _object(where: str, value: object, allowed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScheduleError(where, f"an object with fields of {list(allowed)}", value)
    unknown = [name for name in value if name not in allowed]
    if unknown:
        raise ScheduleError(f"{where}'s fields", f"of {list(allowed)}", unknown[0])
    return value


def _entries(where: str, value: object) -> list[tuple[str, object]]:
    if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
        seen = f"{len(value)} entries" if isinstance(value, list) else value
        raise ScheduleError(where, f"a list of at most {_MOST_ENTRIES} entries", seen)
    return [(f"{where}[{index}]", entry) for index, entry in enumerate(value)]


def _number(where: str, value: object, allowed: str, least: float, most: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and least <= value <= most):  # type: ignore[operator]
        raise ScheduleError(where, f"a number {allowed}", value)
    return float(value)  # type: ignore[arg-type]


def _cap(where: str, entry: Mapping[str, object]) -> float:
    allowed = f"of watts above 0 and at most {_HIGHEST_CAP_W:g}"
    return _number(where, entry.get("cap_w"), allowed, 1e-9, _HIGHEST_CAP_W)


def _cap_or_none(where: str, entry: Mapping[str, object]) -> float | None:
    if "cap_w" in entry and entry["cap_w"] is None:
        return None
    return _cap(f"{where}.cap_w", entry)


def _time(where: str, value: object) -> float:
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) not in (2, 3) or not all(
        len(p) == 2 and p.isascii() and p.isdigit() for p in parts
    ):
        raise ScheduleError(where, _CLOCK, value)
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ScheduleError(where, _CLOCK, value)
    return hours * 3600.0 + minutes * 60 + seconds


def _clock(at_s: float) -> str:
    hours, rest = divmod(round(at_s), 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}" + (f":{seconds:02}" if seconds else "")


def _ascending(where: str, times_s: list[float]) -> None:
    for earlier, later in pairwise(times_s):
        if later <= earlier:
            raise ScheduleError(where, "in ascending order of time", f"{later:g} after {earlier:g}")
