from __future__ import annotations

from pathlib import Path

import pytest

from sentryfuse.energy.cpufreq import FrequencyCap, open_cpufreq
from sentryfuse.errors import ConfigError
from tests.fake_sysfs import FakeSysfs, unprivileged, walkable_sysfs

LITTLE, BIG = (408_000, 1_800_000), (600_000, 2_400_000)


def cpufreq(
    sysfs: FakeSysfs, number: int, least: int, highest: int, *, found: int | None = None
) -> Path:
    """A policy as the kernel shows it; returns its ``scaling_max_freq``."""
    folder = f"devices/system/cpu/cpufreq/policy{number}"
    sysfs.write(f"{folder}/cpuinfo_min_freq", least)
    sysfs.write(f"{folder}/cpuinfo_max_freq", highest)
    sysfs.write(f"{folder}/cpuinfo_transition_latency", 50_000 * (number + 1))
    return sysfs.write(f"{folder}/scaling_max_freq", found or highest)


@pytest.fixture
def board(sysfs: FakeSysfs) -> tuple[FakeSysfs, Path, Path]:
    """Four little and four big cores, the big ones found capped at 2 GHz."""
    return sysfs, cpufreq(sysfs, 0, *LITTLE), cpufreq(sysfs, 4, *BIG, found=2_000_000)


def test_every_policy_is_capped_at_the_same_share_of_its_own_range(
    board: tuple[FakeSysfs, Path, Path],
) -> None:
    sysfs, little, big = board
    cap = open_cpufreq(sysfs.root)

    assert cap.set_share(0.5)
    assert (little.read_text(), big.read_text()) == ("1104000\n", "1500000\n")
    cap.close()


def test_close_puts_back_exactly_what_was_found_and_caps_no_more(
    board: tuple[FakeSysfs, Path, Path],
) -> None:
    sysfs, little, big = board
    found = (little.read_bytes(), big.read_bytes())
    cap = open_cpufreq(sysfs.root)
    cap.set_share(0.0)
    cap.close()
    cap.close()

    assert (little.read_bytes(), big.read_bytes()) == found
    assert not cap.set_share(0.5)
    assert (little.read_bytes(), big.read_bytes()) == found


def test_a_cap_that_was_found_is_never_raised(board: tuple[FakeSysfs, Path, Path]) -> None:
    sysfs, _, big = board
    cap = open_cpufreq(sysfs.root)
    cap.set_share(1.0)

    assert big.read_text() == "2000000\n"
    cap.close()


def test_closing_a_cap_that_was_never_set_leaves_what_others_wrote_since(
    board: tuple[FakeSysfs, Path, Path],
) -> None:
    sysfs, little, _ = board
    cap = open_cpufreq(sysfs.root)
    little.write_text("816000\n")
    cap.close()

    assert little.read_text() == "816000\n"


def test_the_slowest_policy_tells_how_long_a_change_takes(
    board: tuple[FakeSysfs, Path, Path],
) -> None:
    cap = open_cpufreq(board[0].root)

    assert cap.transition_latency_s == pytest.approx(250e-6)
    cap.close()


def test_a_latency_that_the_driver_does_not_know_is_taken_for_a_millisecond(
    sysfs: FakeSysfs,
) -> None:
    cpufreq(sysfs, 0, *LITTLE)
    sysfs.write("devices/system/cpu/cpufreq/policy0/cpuinfo_transition_latency", 2**32 - 1)
    cap = open_cpufreq(sysfs.root)

    assert cap.transition_latency_s == pytest.approx(1e-3)
    cap.close()


def test_a_host_without_cpufreq_says_so(sysfs: FakeSysfs) -> None:
    cap = open_cpufreq(sysfs.root)

    assert not cap.available
    assert "no cpufreq policy" in cap.reason
    assert not cap.set_share(0.5)


@pytest.mark.parametrize("highest", ["", "nonsense", "100"])
def test_a_policy_without_a_sensible_range_is_not_touched(sysfs: FakeSysfs, highest: str) -> None:
    limit = cpufreq(sysfs, 0, *LITTLE)
    sysfs.write("devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", highest)
    cap = open_cpufreq(sysfs.root)

    assert "states no range" in cap.reason
    assert limit.read_text() == "1800000\n"


def test_a_policy_that_may_not_be_written_is_the_reason() -> None:
    with walkable_sysfs() as sysfs:
        cpufreq(sysfs, 0, *LITTLE).chmod(0o444)
        with unprivileged(sysfs):
            cap = open_cpufreq(sysfs.root)

    assert not cap.available
    assert "Permission denied" in cap.reason


def test_a_policy_that_goes_away_in_service_puts_the_others_back_and_ends_the_capping(
    board: tuple[FakeSysfs, Path, Path],
) -> None:
    sysfs, little, big = board
    cap = open_cpufreq(sysfs.root)
    big.unlink()
    big.mkdir()

    assert not cap.set_share(0.5)
    assert little.read_text() == "1800000\n"
    assert "Is a directory" in cap.reason
    cap.close()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(
    board: tuple[FakeSysfs, Path, Path], share: float
) -> None:
    cap = open_cpufreq(board[0].root)
    with pytest.raises(ConfigError, match=r"share must be in \[0, 1\]"):
        cap.set_share(share)
    cap.close()


def test_what_is_left_capped_at_exit_is_put_back(
    board: tuple[FakeSysfs, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = []
    monkeypatch.setattr("atexit.register", registered.append)
    cap: FrequencyCap = open_cpufreq(board[0].root)
    cap.set_share(0.2)

    for at_exit in registered:
        at_exit()

    assert (board[1].read_text(), board[2].read_text()) == ("1800000\n", "2000000\n")
