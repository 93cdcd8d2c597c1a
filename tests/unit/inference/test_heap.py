"""What a process holds after large batches, in an interpreter of its own: thresholds are global."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's heaps only")

MB = 2**20
BATCH_BYTES = 24 * MB
PLAY = """
import asyncio, json, sys, time
from pathlib import Path
import numpy as np
from app.inference.heap import buffers_together
from app.inference.workers import Workers

def held():
    words = Path("/proc/self/statm").read_text().split()
    return int(words[1]) * 4096

def batch():
    for _ in range({blocks}):
        np.ones({bytes} // {blocks}, np.uint8)
    kept = [np.ones({bytes} // {blocks}, np.uint8) for _ in range({blocks})]

async def play():
    buffers_together()
    workers = Workers(1)
    workers.start()
    worker, found = workers.take(), [held()]

    async def run(job, windows=1):
        told = asyncio.get_running_loop().create_future()
        worker.run(job, told.set_result, windows=windows)
        assert await told is None

    await run(batch, {windows})
    found.append(held())
    {meanwhile}
    found.append(held())
    workers.close()
    print(json.dumps(found))

asyncio.run(play())
"""
IDLE = "await asyncio.sleep(1.5)"
BUSY = """
    for _ in range(15):
        await run(lambda: None)
        await asyncio.sleep(0.1)
"""


def played(*, windows: int, blocks: int, meanwhile: str) -> list[int]:
    """Bytes that are held before a batch, after it, and a while later."""
    code = PLAY.format(windows=windows, blocks=blocks, bytes=BATCH_BYTES, meanwhile=meanwhile)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    found: list[int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("meanwhile", [IDLE, BUSY], ids=["idle", "small jobs"])
@pytest.mark.parametrize("blocks", [1, 48], ids=["one buffer", "many"])
def test_what_a_large_batch_took_is_kept_for_a_second_and_no_longer(
    meanwhile: str, blocks: int
) -> None:
    before, kept, later = played(windows=16, blocks=blocks, meanwhile=meanwhile)
    assert kept - before > 0.8 * BATCH_BYTES
    assert later - before < 0.2 * BATCH_BYTES


def test_what_a_single_window_takes_may_stay() -> None:
    before, kept, later = played(windows=1, blocks=1, meanwhile=IDLE)
    assert kept - before > 0.8 * BATCH_BYTES
    assert later - before > 0.8 * BATCH_BYTES
