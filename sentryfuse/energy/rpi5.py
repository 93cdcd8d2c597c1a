"""The power management chip of a Raspberry Pi 5, asked through ``vcgencmd pmic_read_adc``.

Only the Pi 5 has current sensors. Their rails leave out losses and what hangs on USB, so their sum
is scaled by a published fit against a wall meter (pitop.hongjunwu.com/guide/power).
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Sequence

from sentryfuse.energy.probe import PowerProbe
from sentryfuse.errors import MeterError

COMMAND = ("vcgencmd", "pmic_read_adc")
FIT_SLOPE, FIT_OFFSET_W = 1.1451, 0.5879
PERIOD_S = 1.0
"""A subprocess each time: once a second is enough."""
_TIMEOUT_S = 2.0
_LINE = re.compile(r"([A-Z_0-9]+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]")

Run = Callable[[Sequence[str]], str]
"""Runs a command and returns its standard output; raises MeterError if it fails."""


def run_command(command: Sequence[str]) -> str:
    """Run a command.

    Raises:
        MeterError: It is not installed, fails, or takes too long; the message says which.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise MeterError(f"{command[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeterError(f"{command[0]}: {error}") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:120]
        raise MeterError(f"{command[0]} failed with code {done.returncode}: {said}")
    return done.stdout


def rails_w(text: str) -> dict[str, float]:
    """Return the power of every rail for which both a current and a voltage are told, in watts."""
    readings = {(m[1], m[2]): float(m[3]) for m in _LINE.finditer(text) if m[3].count(".") < 2}
    return {
        rail: amps * readings[rail, "V"]
        for (rail, kind), amps in readings.items()
        if kind == "A" and (rail, "V") in readings
    }


def board_power_w(text: str) -> float | None:
    """Return the power of the board in watts; None if the text tells of no rail."""
    rails = rails_w(text)
    return FIT_SLOPE * sum(rails.values()) + FIT_OFFSET_W if rails else None


class PmicReader:
    """Asks the chip at most once a second and repeats the answer in between.

    Args:
        run: Runs a command.
        clock: Monotone seconds.
    """

    def __init__(self, run: Run, clock: Callable[[], float] = time.perf_counter) -> None:
        self._run = run
        self._clock = clock
        self._latest: tuple[float, float | None] | None = None

    def read_w(self) -> float | None:
        """Power of the board; None if the chip does not answer."""
        now_s = self._clock()
        if self._latest is None or now_s - self._latest[0] >= PERIOD_S:
            try:
                power_w = board_power_w(self._run(COMMAND))
            except MeterError:
                power_w = None
            self._latest = (now_s, power_w)
        return self._latest[1]


def find_rpi5(run: Run = run_command) -> tuple[PowerProbe, ...]:
    """Find the chip.

    Raises:
        MeterError: The command is not there or the board has no current sensors.
    """
    if not rails_w(run(COMMAND)):
        raise MeterError("vcgencmd tells of no current: only a Raspberry Pi 5 has the sensors")
    probe = PowerProbe(
        source="rpi5",
        reads="rails of the PMIC, scaled to the board",
        scope="board",
        read_w=PmicReader(run).read_w,
        period_s=PERIOD_S,
        max_gap_s=5.0,
        frozen_after_s=60.0,
    )
    return (probe,)
