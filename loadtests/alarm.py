"""An alarm for an event loop that rings on the microsecond: its own timers round up to 1 ms."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Spec(ctypes.Structure):
    """``struct itimerspec``: period, then first expiry."""

    _fields_ = tuple((n, ctypes.c_long) for n in ("period_s", "period_ns", "first_s", "first_ns"))


class Alarm:
    """One Linux timer descriptor, read by an event loop.

    Args:
        loop: Where to ring.
        ring: Called once for every :meth:`set`, unless it is set again before.

    Raises:
        OSError: The system has no timer descriptors.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = self._libc.timerfd_create(time.CLOCK_MONOTONIC, flags)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._loop, self._ring = loop, ring
        loop.add_reader(self._descriptor, self._expired)

    def set(self, at_s: float) -> None:
        """Ring at this reading of ``time.monotonic()``; at once if it has passed."""
        whole_s, rest_ns = divmod(max(int(at_s * 1e9), 1), 1_000_000_000)
        spec = _Spec(0, 0, whole_s, rest_ns)
        if self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        """Never ring again."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:  # set again between the expiry and this call
            return
        self._ring()
