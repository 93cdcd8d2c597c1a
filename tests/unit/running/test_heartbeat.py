from __future__ import annotations

import asyncio
import time

from app.running.heartbeat import Heartbeat, Vitals, ailments
from tests.unit.clocks import Clock

WELL = Vitals(loop_s=0.2, inference_s=0.0, threads_alive=True)


def test_nothing_is_wrong_with_what_moves() -> None:
    assert ailments(WELL, stuck_s=30.0) == ()


def test_each_thing_that_does_not_move_is_named() -> None:
    ill = Vitals(loop_s=31.0, inference_s=40.0, threads_alive=False)
    assert ailments(ill, stuck_s=30.0) == (
        "an inference thread has ended",
        "an inference has been running for 40 s",
        "the event loop stood still for 31 s",
    )


def test_an_inference_that_just_takes_long_is_not_stuck() -> None:
    long = Vitals(loop_s=0.2, inference_s=30.0, threads_alive=True)
    assert ailments(long, stuck_s=30.0) == ()


def test_a_beat_is_late_only_once_it_was_due() -> None:
    clock = Clock()
    heartbeat = Heartbeat(clock)
    clock.pass_by(0.9)
    assert heartbeat.late_s == 0.0
    clock.pass_by(2.1)
    assert heartbeat.late_s == 2.0

    async def beat_once() -> None:
        task = asyncio.create_task(heartbeat.run())
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(beat_once())
    assert heartbeat.late_s == 0.0


def test_a_loop_that_stands_still_does_not_beat() -> None:
    async def stand_still() -> tuple[float, float]:
        heartbeat = Heartbeat(time.perf_counter)
        task = asyncio.create_task(heartbeat.run())
        await asyncio.sleep(0)
        time.sleep(1.3)
        seen_s = heartbeat.late_s
        await asyncio.sleep(0.01)
        task.cancel()
        return seen_s, heartbeat.late_s

    during_s, after_s = asyncio.run(stand_still())
    assert during_s >= 0.3
    assert after_s < during_s
