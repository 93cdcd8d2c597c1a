"""A gateway that streams a recording to SentryFuse, and prints what it hears.

A line of the CSV file is one sample: time in seconds, name of the sensor, its channels. Lines are
in the order of their times; each sensor has its own rate:

    0.00,torso,-0.51,9.62,…
    0.00,heart,71
    0.04,torso,-0.48,9.70,…
"""

from __future__ import annotations

import argparse
import asyncio
import csv
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from app.client import AsyncClient, SkippedWindow, Stream

Chunk = dict[str, list[list[float]]]
Sample = tuple[float, str, list[float]]


def samples(path: Path) -> Iterator[Sample]:
    """Read the recording."""
    with path.open(newline="") as file:
        for time_s, sensor, *values in csv.reader(file):
            yield float(time_s), sensor, [float(value) for value in values]


def chunks(path: Path, chunk_s: float) -> Iterator[list[tuple[float, str, list[list[float]]]]]:
    """Cut it into pieces, each with the samples of every sensor and the time of the first."""
    for _, found in groupby(samples(path), key=lambda sample: sample[0] // chunk_s):
        first: dict[str, float] = {}
        rows: Chunk = {}
        for time_s, sensor, values in found:
            first.setdefault(sensor, time_s)
            rows.setdefault(sensor, []).append(values)
        yield [(first[sensor], sensor, rows[sensor]) for sensor in rows]


async def play(stream: Stream, path: Path, chunk_s: float, speed: float) -> None:
    """Send the pieces as if they were measured now, ``speed`` times as fast."""
    for piece in chunks(path, chunk_s):
        await asyncio.sleep(chunk_s / speed)
        for time_s, sensor, rows in piece:
            await stream.send({sensor: rows}, t=time_s)
    await stream.end()


async def listen(stream: Stream) -> None:
    """Print a line for each window."""
    async for window in stream:
        if isinstance(window, SkippedWindow):
            print(f"windows {window.window} to {window.through}: {window.skipped}")
            continue
        answer = window.answer
        print(
            f"{window.from_s:8.2f} to {window.to_s:.2f} s  {answer.label} "
            f"{answer.probability:.2f}  {answer.receipt.total_ms:.1f} ms "
            f"{answer.receipt.energy_mj:.1f} mJ  {', '.join(window.present)}"
        )


async def main() -> None:
    """Stream one recording."""
    parser = argparse.ArgumentParser(description="Stream a recording to SentryFuse.")
    parser.add_argument("recording", type=Path, help="CSV file: time, sensor, channels")
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--api-key")
    parser.add_argument("--hop-s", type=float, help="from one window to the next")
    parser.add_argument("--latency-ms", type=float, help="budget of each window")
    parser.add_argument("--chunk-s", type=float, default=0.2, help="samples sent at once")
    parser.add_argument("--speed", type=float, default=1.0, help="times real time; at most 20")
    args = parser.parse_args()
    async with (
        AsyncClient(args.url, api_key=args.api_key) as client,
        client.stream(hop_s=args.hop_s, latency_ms=args.latency_ms) as stream,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(play(stream, args.recording, args.chunk_s, args.speed))
        tasks.create_task(listen(stream))


if __name__ == "__main__":
    asyncio.run(main())
