from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.peers.rundir import RunDir, State
from app.telemetry.families import Families, Family
from app.telemetry.merging import merged


def counted(value: float) -> Families:
    return {
        "c_total": Family("c_total", "counter", "Things", {"c_total": value}),
        "g": Family("g", "gauge", "Now", {"g": value}),
    }


def total(rundir: RunDir, name: str = "c_total") -> float:
    families = merged(rundir.samples())
    return families[name].series[name] if name in families else 0.0


def test_what_workers_count_is_read_together(tmp_path: Path) -> None:
    rundir = RunDir(tmp_path)
    rundir.put_samples("0-11", counted(3))
    rundir.put_samples("1-12", counted(4))
    rundir.put_samples("0-11", counted(5))
    assert total(rundir) == 9


def test_what_a_worker_counted_outlives_it_and_its_gauges_do_not(tmp_path: Path) -> None:
    rundir = RunDir(tmp_path)
    rundir.put_samples("0-11", counted(3))
    rundir.put_samples("1-12", counted(4))
    rundir.bury("0-11")
    assert (total(rundir), total(rundir, "g")) == (7, 4)
    rundir.bury("0-11")
    assert total(rundir) == 7, "it is buried once"


def test_who_reads_while_a_worker_is_buried_sees_it_once_and_never_not_at_all(
    tmp_path: Path,
) -> None:
    writer, reader = RunDir(tmp_path), RunDir(tmp_path)
    for number in range(60):
        writer.put_samples(f"0-{number}", counted(1))
    over, seen = threading.Event(), []

    def read() -> None:
        while not over.is_set():
            seen.append(total(reader))

    with ThreadPoolExecutor(max_workers=2) as threads:
        reading = threads.submit(read)
        for number in range(60):
            writer.bury(f"0-{number}")
        over.set()
        reading.result()
    assert {*seen, total(reader)} == {60}


def test_a_worker_that_has_said_nothing_has_no_state(tmp_path: Path) -> None:
    rundir = RunDir(tmp_path)
    state = State(slot=1, pid=7, at_s=2.5, ready=True, ailments=("stuck",), charged_j=1.5)
    rundir.put_state(state)
    assert rundir.states(2) == (None, state)
    rundir.forget_state(1)
    assert rundir.states(2) == (None, None)


def test_a_cap_is_news_to_others_once_and_not_to_who_set_it(tmp_path: Path) -> None:
    one, other = RunDir(tmp_path), RunDir(tmp_path)
    assert other.cap_news() is None
    one.put_cap({"cap_w": 9.0})
    assert one.cap_news() is None
    assert other.cap_news() == {"cap_w": 9.0}
    assert other.cap_news() is None
    other.put_cap({"cap_w": None})
    assert one.cap_news() == {"cap_w": None}


def test_orders_given_at_the_same_time_all_have_a_number_of_their_own(tmp_path: Path) -> None:
    def give(worker: int) -> None:
        rundir = RunDir(tmp_path)
        for number in range(20):
            rundir.put_order(f"{worker}-1", "load", f"m{number}", None)

    with ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(give, range(4)))
    orders = RunDir(tmp_path).orders_after(0)
    assert [order.number for order in orders] == list(range(1, 81))
    for worker in range(4):
        own = [order.name for order in orders if order.by == f"{worker}-1"]
        assert own == [f"m{number}" for number in range(20)]
    assert [o.number for o in RunDir(tmp_path).orders_after(78)] == [79, 80]
