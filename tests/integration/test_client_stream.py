"""The client's streams against the real service, and the gateway that is an example of them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.client import (
    AsyncClient,
    ClientError,
    ConnectionFailedError,
    NotFoundError,
    OverloadedError,
    SkippedWindow,
    StreamClosedError,
    UnauthorisedError,
    WindowAnswer,
    WrongInputError,
)
from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import free_port
from tests.integration.stream_client import recording
from tests.integration.test_http_keys import add_key


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 30))


def test_samples_go_in_and_answers_come_out(service: HttpService) -> None:
    samples = recording(service, 0.88)

    async def stream() -> list[WindowAnswer | SkippedWindow]:
        async with (
            AsyncClient(service.url) as client,
            client.stream(hop_s=0.2, latency_ms=5000, id="mine") as stream,
        ):
            assert stream.opening.model == "toy"
            assert [s.name for s in stream.opening.sensors] == [*samples]
            await stream.send(samples, t=10.0)
            await stream.end()
            return [window async for window in stream]

    windows = run(stream())
    assert [w.window for w in windows] == [1, 2, 3]
    first = windows[0]
    assert isinstance(first, WindowAnswer)
    assert (first.from_s, first.to_s, first.answer.id) == (10.0, 10.48, "mine")
    inputs = {m.name: samples[m.name][12 - m.length : 12] for m in service.bundle.spec.modalities}
    posted = service.infer({"inputs": {n: rows.tolist() for n, rows in inputs.items()}}).json()
    assert first.answer.label == posted["predictions"][0]["label"]
    assert first.answer.probability == posted["predictions"][0]["probability"]
    budget = first.answer.receipt.budget.latency
    assert budget is not None
    assert budget.asked_ms == 5000


def test_what_the_service_refuses_is_raised_and_the_stream_goes_on(service: HttpService) -> None:
    samples = recording(service, 0.48)

    async def stream() -> WindowAnswer | SkippedWindow:
        async with AsyncClient(service.url) as client, client.stream("toy", version="2") as stream:
            await stream.send(sensor_0=np.zeros((3, 7)))
            with pytest.raises(WrongInputError) as refused:
                await anext(stream)
            assert refused.value.modality == "sensor_0"
            assert refused.value.expected == "[rows, 3] finite numbers"
            assert refused.value.received == "[3, 7]"
            await stream.send(samples, t=0.0)
            return await anext(stream)

    assert run(stream()).window == 1


def test_samples_that_are_no_numbers_are_not_sent(service: HttpService) -> None:
    async def stream() -> None:
        async with AsyncClient(service.url) as client, client.stream() as stream:
            with pytest.raises(WrongInputError, match="sensor_0: values must be finite"):
                await stream.send(sensor_0=[[np.nan, 0, 0]])

    run(stream())


def test_a_stream_that_the_service_closes_says_why(start_http: StartHttp) -> None:
    service = start_http(stream_idle_s=0.2)

    async def stream() -> None:
        async with AsyncClient(service.url) as client, client.stream() as stream:
            await anext(stream)

    with pytest.raises(StreamClosedError, match=r"no samples for 0\.2 s") as closed:
        run(stream())
    assert closed.value.code == 1008


def test_a_stream_that_can_not_be_opened_raises_what_a_request_would(
    start_http: StartHttp, tmp_path: Path
) -> None:
    service = start_http(max_streams=0)

    async def stream(url: str, model: str | None, version: str | None = None) -> None:
        async with AsyncClient(url) as client, client.stream(model, version=version):
            pass

    with pytest.raises(OverloadedError) as refused:
        run(stream(service.url, None))
    assert refused.value.reason == "streams"
    assert refused.value.retry_after_s == 1.0
    with pytest.raises(NotFoundError, match="no model 'other'"):
        run(stream(service.url, "other"))
    with pytest.raises(ClientError, match="of which model"):
        run(stream(service.url, None, "1"))
    with pytest.raises(ConnectionFailedError):
        run(stream(f"http://127.0.0.1:{free_port()}", None))


def test_a_stream_needs_a_key_with_scope_infer(start_http: StartHttp, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = {scope: add_key(file, scope, scope) for scope in ("infer", "read")}
    service = start_http(api_keys_file=file)

    async def stream(key: str | None) -> str:
        async with AsyncClient(service.url, api_key=key) as client, client.stream() as stream:
            return stream.opening.model

    assert run(stream(keys["infer"])) == "toy"
    with pytest.raises(UnauthorisedError):
        run(stream(None))
    with pytest.raises(ClientError, match="needs scope infer"):
        run(stream(keys["read"]))


def test_the_gateway_of_the_documentation_runs(shipped: str, tmp_path: Path) -> None:
    page = Path("docs/streaming.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    rng = np.random.default_rng(0)
    with (tmp_path / "recording.csv").open("w") as file:
        for k in range(200):
            for sensor in ("torso", "right_arm", "left_leg"):
                if sensor != "left_leg" or k < 160:
                    values = ",".join(f"{v:.3f}" for v in rng.normal(0, 1, 9))
                    file.write(f"{k / 25:.2f},{sensor},{values}\n")
    (tmp_path / "examples").symlink_to(Path("examples").resolve())
    command = script.replace("localhost:8080", shipped).replace("python ", f"{sys.executable} ")
    done = subprocess.run(
        ["bash", "-e", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["0.00", "1.00", "2.00", "3.00"]
    assert lines[0].endswith("torso, right_arm, left_leg")
    assert lines[3].endswith("torso, right_arm")
