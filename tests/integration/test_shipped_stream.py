"""The shipped bundle on real recordings, streamed sample by sample and posted window by window."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.client import AsyncClient, WindowAnswer
from sentryfuse.data.windows import WindowSet, load_windows
from tests.integration.http_server import StartHttp
from tests.real_data import real_data

CHUNK = 25


@pytest.fixture(scope="module")
def recordings() -> WindowSet:
    """Windows of one test subject; those of one activity follow each other in time."""
    windows = load_windows(real_data("dsads")).of_groups((7,))
    return windows.subset(np.arange(0, len(windows), 9))


async def streamed(url: str, recordings: WindowSet) -> list[int]:
    """Play the windows one after another, as one recording, a second at a time."""
    found = []
    samples = {n: np.concatenate([*a]).astype(np.float32) for n, a in recordings.arrays.items()}
    rows, channels = next(iter(samples.values())).shape
    assert channels == 9
    async with (
        AsyncClient(url) as client,
        client.stream("dsads-maestro", silence_s=10) as stream,
    ):
        for first in range(0, rows, CHUNK):
            chunk = {n: a[first : first + CHUNK] for n, a in samples.items()}
            await stream.send(chunk, t=first / 25)
            if (first + CHUNK) % 125 == 0:
                window = await anext(stream)
                assert isinstance(window, WindowAnswer)
                found.append(window.answer.predictions[0].index)
    return found


def posted(url: str, recordings: WindowSet) -> list[int]:
    found = []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for k in range(len(recordings)):
            inputs = {n: a[k].astype(np.float32).tolist() for n, a in recordings.arrays.items()}
            answer: Any = client.post("/v1/infer", json={"inputs": inputs}).json()
            found.append(answer["predictions"][0]["index"])
    return found


@pytest.mark.data
def test_streamed_windows_are_recognised_as_posted_ones_are(
    start_http: StartHttp, recordings: WindowSet
) -> None:
    # One variant, so that the budgets of the two ways do not lead to different ones.
    models = Path("models").resolve()
    service = start_http(models=models, ratios="0.8", stream_speed=10_000)
    by_stream = asyncio.run(asyncio.wait_for(streamed(service.url, recordings), 60))
    by_post = posted(service.url, recordings)
    assert by_stream == by_post
    assert (np.array(by_stream) == recordings.label).mean() > 0.8
