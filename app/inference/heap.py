"""How glibc places large allocations; on other systems nothing happens.

Building a variant needs several times its size for a moment, and the weights stay. On one heap
the weights end up between holes; mapped one by one they leave none, which saves 9 MB of 217
with 36 variants of the shipped bundle. Inference wants the opposite: buffers that are taken
and given back a thousand times a second must not be mapped anew each time.

The same holds for what is free at the end of a heap, which every thread has of its own: given back
after every batch, it is a hundred page faults for each request, a twentieth of its CPU time; kept
for ever, it is the memory of the largest batch there has been. So it is kept for a second.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_WEIGHTS_BYTES = 128 * 2**10
_BUFFERS_BYTES = 32 * 2**20
_LEFT_BYTES = 128 * 2**10  # for small change
_BLOCK_BYTES = 96 * 2**10  # glibc looks at the end of a heap when 64 KB or more come back


@contextmanager
def weights_apart() -> Iterator[None]:
    """Map large allocations one by one while variants are built, and never afterwards."""
    _set(_M_MMAP_THRESHOLD, _WEIGHTS_BYTES)
    try:
        yield
    finally:
        buffers_together()


def buffers_together() -> None:
    """Keep buffers on the heap from now on, rather than once the first have been given back.

    Where glibc finds that out by itself, what was mapped until then leaves holes that stay.
    """
    _set(_M_TRIM_THRESHOLD, _BUFFERS_BYTES)
    _set(_M_MMAP_THRESHOLD, _BUFFERS_BYTES)


def give_back_free_pages() -> None:
    """Let the system have the pages that nothing lies on.

    3 MB after the warm ladder has run. After builds beside requests: what building took for a
    moment, and what a dropped variant left; a twentieth of the process, which would be kept.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_buffers() -> None:
    """Let the system have all that is free, the end of the calling thread's heap included.

    Half a millisecond. Trimming joins what is free at the end to it, and then passes over it;
    glibc looks at it only when a block comes back there, and holds more than it may leave.
    """
    give_back_free_pages()
    libc = ctypes.CDLL(None)
    if getattr(libc, "mallopt", None) is None:
        return
    libc.malloc.restype = ctypes.c_void_p
    _set(_M_TRIM_THRESHOLD, _LEFT_BYTES)
    libc.free(ctypes.c_void_p(libc.malloc(_BLOCK_BYTES)))
    _set(_M_TRIM_THRESHOLD, _BUFFERS_BYTES)


def _set(option: int, size: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(option, size)
