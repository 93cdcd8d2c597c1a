from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sentryfuse.energy.rpi5 import PmicReader, board_power_w, find_rpi5, rails_w, run_command
from sentryfuse.errors import MeterError
from tests.unit.energy.clock import Clock

OUTPUT = """\
   3V7_WL_SW_A current(0)=0.10000000A
    3V3_SYS_A current(1)=0.20000000A
   VDD_CORE_A current(7)=2.50000000A
   3V7_WL_SW_V volt(8)=3.70000000V
     3V3_SYS_V volt(9)=3.30000000V
   VDD_CORE_V volt(15)=0.80000000V
     EXT5V_V volt(24)=5.10000000V
      BATT_V volt(25)=0.00000000V
"""
RAILS_W = 0.1 * 3.7 + 0.2 * 3.3 + 2.5 * 0.8


def test_a_rail_is_its_current_times_its_voltage_and_voltages_alone_are_none() -> None:
    assert rails_w(OUTPUT) == pytest.approx({"3V7_WL_SW": 0.37, "3V3_SYS": 0.66, "VDD_CORE": 2.0})


def test_the_board_is_the_published_fit_over_the_rails() -> None:
    assert board_power_w(OUTPUT) == pytest.approx(1.1451 * RAILS_W + 0.5879)


@pytest.mark.parametrize(
    "text", ["", "volt=0.8500V\n", "error=1 error_msg=...", "X_A current(1)=1A"]
)
def test_text_without_pairs_of_current_and_voltage_is_no_reading(text: str) -> None:
    assert board_power_w(text) is None


def test_the_chip_is_asked_at_most_once_a_second() -> None:
    clock, asked = Clock(), []

    def run(command: Sequence[str]) -> str:
        asked.append(tuple(command))
        return OUTPUT

    reader = PmicReader(run, clock)
    for _ in range(21):
        assert reader.read_w() == board_power_w(OUTPUT)
        clock.now_s += 0.125

    assert asked == [("vcgencmd", "pmic_read_adc")] * 3


def test_a_command_that_fails_later_is_no_reading() -> None:
    def run(command: Sequence[str]) -> str:
        raise MeterError("vcgencmd failed")

    assert PmicReader(run).read_w() is None


def test_a_pi_4_is_told_apart() -> None:
    with pytest.raises(MeterError, match="only a Raspberry Pi 5 has the sensors"):
        find_rpi5(lambda command: "volt=0.8500V\n")


def script(folder: Path, body: str) -> str:
    path = folder / "vcgencmd"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_a_real_command_is_run(tmp_path: Path) -> None:
    command = script(tmp_path, f"cat <<'END'\n{OUTPUT}END")
    assert rails_w(run_command([command, "pmic_read_adc"])) == rails_w(OUTPUT)


def test_a_command_that_fails_says_how(tmp_path: Path) -> None:
    command = script(tmp_path, "echo 'Can not open /dev/vcio' >&2; exit 255")
    with pytest.raises(MeterError, match=r"failed with code 255: Can not open /dev/vcio"):
        run_command([command])


def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="vcgencmd is not installed"):
        run_command([str(tmp_path / "vcgencmd")])
