"""What every meter must keep, opened as the service opens it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from sentryfuse.energy import METERS, Covers, Fault, Meter, Quality, open_meter
from tests.unit.energy.hosts import full_host, ticking


@pytest.fixture(params=METERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def meter(name: str, tmp_path: Path) -> Iterator[Meter]:
    recording = tmp_path / "energy.csv"
    recording.write_text("time_s,joules\n0,0\n" + "".join(f"{i / 100},{i}\n" for i in range(1, 99)))
    host = full_host(tmp_path)
    with ticking(tmp_path):
        opened = open_meter(name, recording=recording, host=host)
        yield opened
        opened.close()


def test_it_starts_about_zero_and_never_falls(meter: Meter) -> None:
    heard = []
    for _ in range(40):
        heard.append(meter.joules())
        time.sleep(0.002)

    assert 0 <= heard[0] < 200.0  # a second of the fastest
    assert all(earlier <= later for earlier, later in pairwise(heard))


def test_what_it_says_of_itself_is_from_closed_sets(name: str, meter: Meter) -> None:
    meter.joules()

    assert meter.source == ("jetson" if name == "auto" else name)
    assert meter.quality == ("modelled" if name in ("cpu-time", "null") else "measured")
    assert meter.quality in get_args(Quality)
    assert meter.covers in get_args(Covers)
    assert set(meter.faults) <= set(get_args(Fault))
    assert meter.idle_power_w >= 0
    assert meter.failovers == 0


def test_it_is_cheap_to_ask(meter: Meter) -> None:
    began_s = time.perf_counter()
    for _ in range(500):
        meter.joules()

    assert time.perf_counter() - began_s < 1.0  # thousandfold below a second for each


def test_many_threads_may_ask_and_none_sees_it_fall(meter: Meter) -> None:
    heard: list[list[float]] = [[] for _ in range(4)]

    def ask(mine: list[float]) -> None:
        for _ in range(300):
            mine.append(meter.joules())

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in heard]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(len(mine) == 300 and mine == sorted(mine) for mine in heard)


def test_closing_twice_leaves_no_thread_and_takes_nothing_back(meter: Meter) -> None:
    before_j = meter.joules()
    meter.close()
    meter.close()

    assert meter.joules() >= before_j
    assert not [t.name for t in threading.enumerate() if t.name.startswith("meter-")]
