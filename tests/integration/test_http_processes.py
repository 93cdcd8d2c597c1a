"""Several processes that are one service: counted, replaced and ended together."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.scrapes import Samples, scraped

ANSWERED = "sentryfuse_variant_inferences_total"


def workers(service: HttpService) -> list[int]:
    """Processes that serve; multiprocessing's own helper, also a child, is none of them."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()]
    return [p for p in pids if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def fresh(service: HttpService) -> httpx.Client:
    """A client of its own connections, which any process may accept."""
    return httpx.Client(base_url=service.url, timeout=30, trust_env=False)


def scrape(service: HttpService) -> Samples:
    with fresh(service) as client:
        return scraped(client.get("/metrics").content)


def total(samples: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(v for (found, pairs), v in samples.items() if found == name and wanted <= pairs)


def post(service: HttpService, count: int) -> Counter[int]:
    """Send so many requests, each on a connection of its own."""
    body = json.dumps(service.window()).encode()

    def one(_: int) -> int:
        with fresh(service) as client:
            headers = {"Content-Type": "application/json"}
            return client.post("/v1/infer", content=body, headers=headers).status_code

    with ThreadPoolExecutor(max_workers=8) as threads:
        return Counter(threads.map(one, range(count)))


def until(condition: object, deadline_s: float = 30.0) -> None:
    ends_s = time.monotonic() + deadline_s
    assert callable(condition)
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """One service for all tests that leave it as it was."""
    running = start_service(tmp_path_factory.mktemp("pair"), processes=2, cores=2)
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0


def test_two_processes_count_as_one_and_never_backwards_even_when_one_is_killed(
    pair: HttpService,
) -> None:
    first = workers(pair)
    assert len(first) == 2
    answered = post(pair, 60)[200]
    assert answered == 60
    until(lambda: total(scrape(pair), ANSWERED) == answered)
    by_process = [scrape(pair) for _ in range(8)]
    assert {total(s, ANSWERED) for s in by_process} == {60.0}, "whichever process is asked"
    route = {"route": "/v1/infer", "code": "200"}
    counted = "sentryfuse_request_duration_seconds_count"
    assert total(by_process[0], counted, **route) == 60
    assert total(by_process[0], "sentryfuse_batch_size_sum") == 60

    before = scrape(pair)
    os.kill(first[0], signal.SIGKILL)
    seen = [before]
    until(lambda: first[0] not in workers(pair))
    unready = wait_for(pair, "/health/ready", 503).json()
    assert unready["status"] == "starting"
    assert "is not ready" in unready["because"][0]
    while len(seen) < 25:
        try:
            seen.append(scrape(pair))
        except httpx.TransportError:  # it was the killed process that had accepted
            continue
        time.sleep(0.03)
    until(lambda: len(workers(pair)) == 2)
    wait_for(pair, "/health/ready")
    answered += post(pair, 40)[200]
    until(lambda: total(scrape(pair), ANSWERED) == answered)
    seen.append(scrape(pair))
    for earlier, later in pairwise(seen):
        for key, value in earlier.items():
            name, labels = key
            if name.endswith(("_total", "_count", "_sum", "_bucket")):
                assert later.get(key, 0.0) >= value, (name, labels)


def test_a_cap_set_in_one_process_holds_in_all(pair: HttpService) -> None:
    with fresh(pair) as client:
        assert client.put("/v1/power", json={"cap_w": 3.5}).json()["cap_w"] == 3.5

    def caps() -> set[float | None]:
        found = set()
        for _ in range(12):
            with fresh(pair) as client:
                found.add(client.get("/v1/power").json()["cap_w"])
        return found

    until(lambda: caps() == {3.5})
    assert total(scrape(pair), "sentryfuse_power_cap_watts") == 3.5
    with fresh(pair) as client:
        client.put("/v1/power", json={"cap_w": None})
    until(lambda: caps() == {None})


def test_a_model_unloaded_through_one_process_is_gone_from_all(pair: HttpService) -> None:
    def statuses() -> set[int]:
        return set(post(pair, 12))

    with fresh(pair) as client:
        assert client.post("/v2/repository/models/toy/unload").status_code == 200
    until(lambda: statuses() == {404})
    with fresh(pair) as client:
        assert client.post("/v2/repository/models/toy/load").status_code == 200
    until(lambda: statuses() == {200})


def test_a_signal_ends_all_processes_and_loses_nothing(start_http: StartHttp) -> None:
    pair = start_http(processes=2, cores=2)
    pids = workers(pair)
    body = json.dumps(pair.window()).encode()
    seen: Counter[str] = Counter()

    def call(_: int) -> None:
        while True:
            client = fresh(pair)
            try:
                response = client.post(
                    "/v1/infer", content=body, headers={"Content-Type": "application/json"}
                )
                seen[str(response.status_code)] += 1
            except httpx.ConnectError:
                return
            except httpx.TransportError:
                seen["lost"] += 1
            finally:
                client.close()

    with ThreadPoolExecutor(max_workers=6) as threads:
        calls = [threads.submit(call, n) for n in range(6)]
        until(lambda: seen["200"] >= 12)
        pair.process.send_signal(signal.SIGTERM)
        assert pair.process.wait(timeout=20) == 0
        for each in calls:
            each.result()
    assert set(seen) == {"200"}, seen
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_keeps_a_process_from_starting_ends_the_service_with_the_reason(
    start_http: StartHttp,
) -> None:
    service = start_http(ready=False, processes=2, models="/nowhere/at/all")
    assert service.process.wait(timeout=30) != 0
    assert "/nowhere/at/all is not a directory" in service.log.read_text()


def test_the_live_reading_is_of_all_processes_whichever_answers(pair: HttpService) -> None:
    sent = post(pair, 12)[200]

    def reading() -> dict[str, Any]:
        with fresh(pair) as client:
            found: dict[str, Any] = client.get("/v1/live").json()
        return found

    def windows() -> float:
        return float(sum(used["windows"] for used in reading()["variants"]["used"]))

    for _ in range(4):
        assert reading()["processes"] == 2
        # What another process did a moment ago comes with its next second.
        until(lambda: windows() == total(scrape(pair), ANSWERED) >= sent)
