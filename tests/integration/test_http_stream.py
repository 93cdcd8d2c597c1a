"""Sensors streamed to the real service over a real WebSocket."""

from __future__ import annotations

import json
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sentryfuse.bundle import write_bundle
from sentryfuse.spec import ModelSpec
from tests.bundles import random_bundle, small_spec
from tests.integration.http_server import (
    HttpService,
    StartHttp,
    start_service,
    wait_for,
    write_profile,
)
from tests.integration.stream_client import Rows, StreamClient, recording, stream

RATES_HZ = (25.0, 20.0, 10.0, 25.0, 12.5)
LONGEST_S = 9 / 12.5


def several_rates() -> ModelSpec:
    spec = small_spec()
    modalities = zip(spec.modalities, RATES_HZ, strict=True)
    return replace(spec, modalities=tuple(replace(m, rate_hz=rate) for m, rate in modalities))


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """A service whose sensors have rates and windows of different lengths."""
    folder = tmp_path_factory.mktemp("streamed")
    bundle = random_bundle(several_rates())
    digest = write_bundle(bundle, folder / "own" / "body" / "1")
    write_profile(bundle, digest, folder / "profiles")
    running = start_service(folder, models=folder / "own", stream_message_bytes=100_000)
    running.bundle = bundle
    wait_for(running, "/health/ready")
    yield running
    assert running.stop() == 0
    assert not [line for line in running.log_lines() if line["level"] in ("error", "critical")]


def play(
    client: StreamClient,
    samples: dict[str, Rows],
    seconds: float,
    *,
    step_s: float = 0.2,
    hop_s: float = 0.4,
    silent: tuple[str, float, float] | None = None,
    binary: bool = False,
) -> list[dict[str, Any]]:
    """Send a recording in steps, each sensor in a message of its own; wait for each answer."""
    rates = {s["name"]: s["rate_hz"] for s in client.opened["sensors"]}
    answers: list[dict[str, Any]] = []
    for step in range(round(seconds / step_s)):
        for name, rows in samples.items():
            first, last = (round((step + k) * step_s * rates[name]) for k in (0, 1))
            t = first / rates[name]
            dead = silent and name == silent[0] and silent[1] <= t < silent[2]
            if last > first and not dead:
                (client.send_binary if binary else client.send)(t, **{name: rows[first:last]})
        while silent is None and len(answers) < (step + 1) * step_s - LONGEST_S - 1e-9:
            if LONGEST_S + len(answers) * hop_s > (step + 1) * step_s - 0.05:
                break
            answers.append(client.next())
    client.end()
    return [*answers, *client.rest()]


def posted(service: HttpService, samples: dict[str, Rows], end_s: float, present: list[str]) -> Any:
    """What POST infer says of the same window."""
    inputs = {}
    for m in service.bundle.spec.modalities:
        last = int(end_s * m.rate_hz + 0.5 - 1e-6)
        if m.name in present:
            inputs[m.name] = samples[m.name][last - m.length : last].tolist()
    return service.infer({"inputs": inputs}).json()["predictions"]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_answers_are_those_of_posted_windows(streamed: HttpService, binary: bool) -> None:
    samples = recording(streamed, 4.0)
    with stream(streamed, hop_s=0.4) as client:
        answers = play(client, samples, 4.0, binary=binary)
        assert client.closed == (1000, "")
    assert [a["window"] for a in answers] == [*range(1, 10)]
    for answer in answers:
        assert answer["to"] == pytest.approx(LONGEST_S + 0.4 * (answer["window"] - 1))
        assert answer["from"] == pytest.approx(answer["to"] - LONGEST_S)
        assert answer["present"] == [*samples]
        assert answer["predictions"] == posted(streamed, samples, answer["to"], [*samples])
        assert answer["plan"]["presence"] == [*samples]
        assert answer["receipt"]["met"] is True


def test_a_sensor_that_dies_is_left_out_and_comes_back(streamed: HttpService) -> None:
    samples = recording(streamed, 10.0, seed=1)
    with stream(streamed, hop_s=0.4, silence_s=0.5) as client:
        client.socket.ping()
        answers = [
            answer
            for answer in play(client, samples, 10.0, silent=("sensor_2", 3.0, 6.0))
            if "predictions" in answer
        ]
    dead = [a for a in answers if 3.2 < a["to"] < 6.0 + 0.7]
    alive = [a for a in answers if a["to"] < 2.9 or a["to"] > 6.0 + 0.7 + 0.2]
    assert dead
    assert len(alive) > 8
    assert all("sensor_2" not in a["present"] and len(a["present"]) == 4 for a in dead)
    assert all(len(a["present"]) == 5 for a in alive)
    for answer in (*dead, *alive):
        assert answer["predictions"] == posted(streamed, samples, answer["to"], answer["present"])


def test_the_opening_says_what_was_agreed(streamed: HttpService) -> None:
    terms = {"hop_s": 0.5, "silence_s": 3, "silence_s.sensor_1": 1, "id": "gateway-7"}
    with stream(streamed, "/v1/models/body/versions/1/stream", **terms) as client:
        opened = client.opened
    assert (opened["id"], opened["model"], opened["version"]) == ("gateway-7", "body", "1")
    assert (opened["hop_s"], opened["window_s"]) == (0.5, LONGEST_S)
    assert [s["silence_s"] for s in opened["sensors"]] == [3, 1, 3, 3, 3]
    assert [s["rate_hz"] for s in opened["sensors"]] == [*RATES_HZ]


def test_the_budget_of_a_stream_holds_for_each_window(streamed: HttpService) -> None:
    headers = {"X-Energy-Budget-mJ": "1000", "X-Latency-Budget-Ms": "20000"}
    with stream(streamed, headers=headers, latency_budget_ms=10_000, id="a") as client:
        client.send(0.0, **recording(streamed, LONGEST_S + 0.1))
        answer = client.next()
    assert answer["receipt"]["budget"]["latency"]["asked_ms"] == 10_000
    assert answer["receipt"]["budget"]["energy"]["asked_mj"] == 1000
    assert answer["id"] == "a"


def test_the_windows_of_a_stream_may_get_the_least_energy(streamed: HttpService) -> None:
    with stream(streamed, energy="least") as client:
        client.send(0.0, **recording(streamed, LONGEST_S + 0.1))
        answer = client.next()
    assert "variant of least energy" in answer["plan"]["reason"]


def test_a_strict_budget_that_can_not_be_met_skips_the_window_and_not_the_stream(
    streamed: HttpService,
) -> None:
    samples = recording(streamed, LONGEST_S + 0.1)
    with stream(streamed, latency_budget_ms=0.01, handling="strict") as client:
        client.send(0.0, **samples)
        skipped = client.next()
        assert skipped["skipped"] in ("impossible", "deadline", "busy")
        assert skipped["window"] == 1
        assert skipped["present"] == [*samples]
        client.end()
        client.rest()
        assert client.closed == (1000, "")


def test_without_times_the_clock_is_that_of_arrival(streamed: HttpService) -> None:
    samples = recording(streamed, 3.0)
    rates = dict(zip(samples, RATES_HZ, strict=True))
    with stream(streamed, hop_s=0.4) as client:
        for step in range(12):
            time.sleep(0.2)
            for name, rows in samples.items():
                first, last = (round((step + k) * 0.2 * rates[name]) for k in (0, 1))
                client.send(None, **{name: rows[first:last]})
        client.end()
        answers = client.rest()
    complete = [a for a in answers if "predictions" in a and len(a["present"]) == 5]
    assert len(complete) >= 2


def binary(shape: str) -> bytes:
    header = b'{"samples": {"sensor_1": %b}}' % shape.encode()
    return struct.pack("<I", len(header)) + header


def wrong_messages() -> list[tuple[str | bytes, str]]:
    return [
        ("no json", "the message is not JSON"),
        ("[1]", "a message must be a JSON object"),
        ("{}", "a message must hold"),
        ('{"samples": {}}', "an empty object"),
        ('{"samples": {"nose": [[1]]}}', "no modality 'nose'"),
        ('{"samples": {"sensor_1": [[1, 2], [3]]}}', "rows of unequal length"),
        ('{"samples": {"sensor_1": [[1, 2, 3]]}}', "got [1, 3]"),
        ('{"samples": {"sensor_1": []}}', "samples of 'sensor_1'"),
        ('{"samples": {"sensor_1": [["1", "2"]]}}', "samples of 'sensor_1'"),
        ('{"samples": {"sensor_1": [[1e39, 2]]}}', "float32 can't hold in row 0"),
        ('{"samples": {"sensor_1": [[1, 2]]}, "t": "now"}', "t must be seconds"),
        ('{"samples": {"sensor_1": [[1, 2]]}, "t": 1e300}', "t must be seconds"),
        ('{"end": 1}', "end must be true"),
        (b"", "begins with 4 bytes"),
        (b"\xff\xff\xff\xff{}", "the header should be 4294967295 bytes long"),
        (b"\x02\x00\x00\x00{}", "a message must hold"),
        (binary("[1, 2]") + b"\0" * 7, "7 bytes for 1 rows"),
        (binary("[1, 2]") + b"\0" * 9, "1 bytes follow"),
        (binary("[1, 2]") + b"\xff" * 8, "float32 can't hold"),
        (binary("[1, 3]") + b"\0" * 12, "got [1, 3]"),
        (binary("[-1, 2]"), "got [-1, 2]"),
        (binary("[true, 2]") + b"\0" * 8, "as its shape"),
        (binary("2") + b"\0" * 8, "a number as its shape"),
    ]


@pytest.mark.parametrize(("message", "detail"), wrong_messages())
def test_a_wrong_message_is_told_and_the_stream_goes_on(
    streamed: HttpService, message: str | bytes, detail: str
) -> None:
    with stream(streamed) as client:
        client.socket.send(message)
        error = client.next()["error"]
        assert detail in error["detail"]
        assert error["type"].startswith("urn:sentryfuse:problem:")
        client.send(0.0, **recording(streamed, LONGEST_S + 0.1))
        assert client.next()["window"] == 1


def test_a_wrong_sensor_is_named_with_what_was_expected_and_received(
    streamed: HttpService,
) -> None:
    with stream(streamed) as client:
        client.socket.send('{"samples": {"sensor_1": [[1, 2, 3]]}}')
        error = client.next()["error"]
    assert error["modality"] == "sensor_1"
    assert error["expected"] == "[rows, 2] finite numbers"
    assert error["received"] == "[1, 3]"


def test_too_many_wrong_messages_in_a_row_close_the_stream(streamed: HttpService) -> None:
    with stream(streamed) as client:
        for _ in range(8):
            client.socket.send("nonsense")
        assert len(client.rest()) <= 8
        code, reason = client.closed
    assert code == 1008
    assert reason.startswith("too many wrong messages, the last: the message is not JSON")


def test_a_flood_is_told_and_then_closed(streamed: HttpService) -> None:
    rows = recording(streamed, 60.0)["sensor_0"][:400]
    with stream(streamed) as client:
        try:
            for k in range(20):
                client.send_binary(k * 16.0, sensor_0=rows)
        except ConnectionClosed:
            pass
        errors = [message for message in client.rest() if "error" in message]
        assert client.closed[0] == 1008
    assert "may send 500 samples per second" in errors[0]["error"]["detail"]


def test_a_message_that_is_too_large_closes_the_stream(streamed: HttpService) -> None:
    with stream(streamed) as client:
        client.socket.send(b"\0" * 100_001)
        client.rest()
        assert client.closed[0] == 1009


@pytest.mark.parametrize(
    ("path", "terms", "status", "detail"),
    [
        ("/v1/models/nothing/stream", {}, 404, "no model 'nothing'"),
        ("/v1/models/body/versions/9/stream", {}, 404, "no version '9'"),
        ("/v1/stream", {"hop_s": "0"}, 422, "hop_s must be seconds from 0.01"),
        ("/v1/stream", {"hop_s": "nan"}, 422, "hop_s must be seconds from 0.01"),
        ("/v1/stream", {"silence_s.nose": "1"}, 422, "no parameter 'silence_s.nose'"),
        ("/v1/stream", {"latency_ms": "1"}, 422, "no parameter 'latency_ms'"),
        ("/v1/stream", {"latency_budget_ms": "-1"}, 422, "latency_budget_ms must be"),
        ("/v1/stream", {"id": "x" * 200}, 422, "id may have 128 characters"),
    ],
)
def test_a_stream_that_can_not_be_opened_is_refused_with_the_reason(
    streamed: HttpService, path: str, terms: dict[str, str], status: int, detail: str
) -> None:
    with pytest.raises(InvalidStatus) as refusal, stream(streamed, path, **terms):
        pass
    response = refusal.value.response
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"]
    assert detail in json.loads(response.body)["detail"]


def test_a_stream_is_logged_at_its_opening_and_close_with_its_id(streamed: HttpService) -> None:
    with stream(streamed, headers={"X-Request-Id": "stream-1"}) as client:
        client.send(0.0, **recording(streamed, LONGEST_S + 0.1))
        client.next()
        client.end()
        client.rest()
    opened, closed = (
        line for line in streamed.log_of("stream-1") if line["logger"] == "app.api.stream.endpoint"
    )
    assert (opened["message"], opened["path"], opened["model"]) == (
        "stream opened",
        "/v1/stream",
        "body",
    )
    assert (closed["message"], closed["code"], closed["windows"]) == ("stream closed", 1000, 1)


def test_streams_and_their_windows_are_counted(start_http: StartHttp) -> None:
    service = start_http()
    with stream(service) as client:
        assert service.metric("sentryfuse_streams_open") == 1
        client.send(0.0, **recording(service, 1.0))
        client.next()
        client.end()
        client.rest()
    assert service.metric("sentryfuse_streams_open") == 0
    assert service.metric("sentryfuse_stream_windows_total", outcome="answered") == 2
    assert service.metric("sentryfuse_streams_ended_total", code="1000") == 1


def test_one_stream_too_many_is_told_when_to_try_again(start_http: StartHttp) -> None:
    service = start_http(max_streams=1)
    with stream(service):
        with pytest.raises(InvalidStatus) as refusal, stream(service):
            pass
        assert refusal.value.response.status_code == 429
        assert refusal.value.response.headers["Retry-After"] == "1"
    deadline = time.monotonic() + 10
    while service.metric("sentryfuse_streams_open"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with stream(service) as client:
        assert client.opened["model"] == "toy"


def test_a_silent_stream_is_closed(start_http: StartHttp) -> None:
    service = start_http(stream_idle_s=0.3)
    with stream(service) as client:
        client.rest()
        assert client.closed == (1008, "no samples for 0.3 s")


def test_when_behind_the_oldest_windows_are_skipped_and_every_number_is_accounted_for(
    streamed: HttpService,
) -> None:
    samples = recording(streamed, 10.0)
    with stream(streamed, hop_s=0.02) as client:
        client.send_binary(0.0, **samples)
        client.end()
        answers = client.rest()
    assert answers[0]["skipped"] == "behind"
    due = 1
    for answer in answers:
        assert answer["window"] == due
        due = answer.get("through", answer["window"]) + 1
    assert answers[-1]["to"] == pytest.approx(10.0, abs=0.1)
    assert len([a for a in answers if "predictions" in a]) == 8


def test_at_sigterm_windows_in_flight_are_answered_and_then_the_stream_ends(
    start_http: StartHttp,
) -> None:
    service = start_http()
    with stream(service, hop_s=0.4) as client, stream(service) as idle:
        client.send(0.0, **recording(service, 1.0))
        first = client.next()
        client.send(1.0, **recording(service, 0.4))
        service.process.send_signal(signal.SIGTERM)
        rest = [first, *client.rest()]
        assert client.closed == (1001, "the service is going away")
        assert idle.rest() == []
        assert idle.closed[0] == 1001
    assert {a["window"] for a in rest} >= {1, 2}
    assert all("predictions" in a for a in rest)
    assert service.process.wait(timeout=20) == 0


def test_no_stream_is_opened_while_the_service_drains(start_http: StartHttp) -> None:
    service = start_http(drain_s=2.0)
    service.process.send_signal(signal.SIGTERM)
    wait_for(service, "/health/ready", 503)
    with pytest.raises(InvalidStatus) as refusal, stream(service):
        pass
    assert refusal.value.response.status_code == 503
    assert refusal.value.response.headers["Retry-After"] == "1"


def test_a_client_that_breaks_off_leaves_nothing_behind(streamed: HttpService) -> None:
    samples = recording(streamed, 10.0)
    for _ in range(5):
        with stream(streamed, hop_s=0.02) as client:
            client.send_binary(0.0, **samples)
            client.socket.socket.shutdown(socket.SHUT_RDWR)
    deadline = time.monotonic() + 10
    while streamed.metric("sentryfuse_streams_open"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert streamed.metric("sentryfuse_queue_depth") == 0


def test_streams_of_one_presence_share_inferences(start_http: StartHttp) -> None:
    service = start_http(stream_backlog=64)
    samples = recording(service, 6.0)
    ready = threading.Barrier(2)

    def sizes(_: int) -> list[int]:
        with stream(service, hop_s=0.1) as client:
            ready.wait(20)
            client.send_binary(0.0, **samples)
            client.end()
            answers = [a for a in client.rest() if "predictions" in a]
        return [a["receipt"]["batch"]["requests"] for a in answers]

    with ThreadPoolExecutor(2) as threads:
        found = [size for each in threads.map(sizes, range(2)) for size in each]
    assert max(found) > 1
