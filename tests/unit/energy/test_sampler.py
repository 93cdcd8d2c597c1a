from __future__ import annotations

import logging
import threading
import time

import pytest

from sentryfuse.energy import Sampler


def test_it_calls_again_and_again_until_it_is_closed() -> None:
    calls, thrice = [], threading.Event()

    def tick() -> None:
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            thrice.set()

    sampler = Sampler(tick, 0.001, name="meter-test")
    sampler.start()
    assert thrice.wait(5)
    sampler.close()
    after = len(calls)
    time.sleep(0.02)

    assert not sampler.alive
    assert len(calls) == after
    assert set(calls) == {"meter-test"}


def test_closing_does_not_wait_for_the_next_call_nor_twice() -> None:
    called = threading.Event()
    sampler = Sampler(called.set, 3600.0, name="meter-test")
    sampler.start()
    assert called.wait(5)
    began_s = time.perf_counter()
    sampler.close()
    sampler.close()

    assert time.perf_counter() - began_s < 1.0
    assert not sampler.alive


def test_closing_waits_only_so_long_for_a_call_that_hangs() -> None:
    hanging, release = threading.Event(), threading.Event()

    def tick() -> None:
        hanging.set()
        release.wait(30)

    sampler = Sampler(tick, 0.001, name="meter-test")
    sampler.start()
    assert hanging.wait(5)
    sampler.close(timeout_s=0.01)
    still_hung = sampler.alive
    release.set()
    sampler.close(timeout_s=5)

    assert (still_hung, sampler.alive) == (True, False)


def test_closing_what_was_never_started_does_nothing() -> None:
    Sampler(lambda: None, 1.0, name="meter-test").close()


def test_an_error_is_logged_and_ends_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    def tick() -> None:
        raise KeyError("bug")

    sampler = Sampler(tick, 0.001, name="meter-test")
    with caplog.at_level(logging.ERROR):
        sampler.start()
        sampler.close(timeout_s=5)
    (record,) = caplog.records

    assert record.getMessage() == "meter-test failed"
    assert record.exc_info is not None
