"""Both clients against the real service, by the same tests."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from app.client import (
    Answer,
    AsyncClient,
    BudgetError,
    Client,
    ClientError,
    ConnectionFailedError,
    DeadlineError,
    ForbiddenError,
    HeaderError,
    NotFoundError,
    OverloadedError,
    Retries,
    TooLargeError,
    UnauthorisedError,
    UnusableModelError,
    WrongFieldError,
    WrongInputError,
)
from tests.bundles import random_windows
from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.integration.redis_server import free_port
from tests.integration.test_http_keys import add_key

Arrays: TypeAlias = dict[str, NDArray[np.float32]]


class Awaiting:
    """The asynchronous client with an event loop of its own, called like the other one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *args, **options: self._runner.run(method(*args, **options))

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class Clients:
    """Makes clients of one kind, and closes them."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._made: list[Any] = []

    def __call__(self, service: HttpService | str, **options: Any) -> Any:
        url = service if isinstance(service, str) else service.url
        client = self._kind(url, **options)
        self._made.append(client)
        return client

    def close(self) -> None:
        while self._made:
            self._made.pop().close()


@pytest.fixture(params=[Client, Awaiting], ids=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Clients]:
    clients = Clients(request.param)
    yield clients
    clients.close()


@dataclass(frozen=True)
class Guarded:
    """A service with keys."""

    service: HttpService
    infer_key: str
    admin_key: str
    """Good for everything."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "keys.json"
    infer_key = add_key(file, "gateway", "infer")
    admin_key = add_key(file, "operator", "infer", "read", "admin")
    running = start_service(folder, api_keys_file=file)
    wait_for(running, "/health/ready")
    yield Guarded(running, infer_key, admin_key)
    assert running.stop() == 0


def windows(service: HttpService, *names: str, batch: int = 0, seed: int = 0) -> Arrays:
    arrays = random_windows(service.bundle.spec, names or None, batch=batch or 1, seed=seed)
    return arrays if batch else {name: array[0] for name, array in arrays.items()}


def test_sensors_go_in_as_arrays_and_the_answer_comes_with_plan_and_receipt(
    service: HttpService, connect: Clients
) -> None:
    inputs = windows(service, "sensor_0", "sensor_3") | {"sensor_1": None}
    answer: Answer = connect(service).infer(inputs, latency_ms=2000, energy_mj=5000, id="mine")
    assert answer.label in {f"class-{i}" for i in range(4)}
    assert 0.25 <= answer.probability <= 1
    assert answer.plan.presence == ("sensor_0", "sensor_3")
    assert (answer.model, answer.version, answer.id) == ("toy", "2", "mine")
    budget = answer.receipt.budget
    assert budget.latency is not None
    assert budget.latency.asked_ms == 2000
    assert budget.energy is not None
    assert budget.power is None
    assert answer.receipt.met is (budget.latency.met and budget.energy.met)


def test_the_answer_is_that_of_plain_http(service: HttpService, connect: Clients) -> None:
    inputs = windows(service, batch=3, seed=5)
    plain = service.infer({"inputs": {n: a.tolist() for n, a in inputs.items()}}).json()
    answer = connect(service).infer(inputs)
    assert answer.labels == tuple(p["label"] for p in plain["predictions"])
    assert [p.index for p in answer.predictions] == [p["index"] for p in plain["predictions"]]
    for ours, theirs in zip(answer.predictions, plain["predictions"], strict=True):
        assert [g.probability for g in ours.top] == pytest.approx(
            [g["probability"] for g in theirs["top"]], abs=2e-6
        )
        assert [g.label for g in ours.top] == [g["label"] for g in theirs["top"]]
    with pytest.raises(ValueError, match="the answer is for 3 windows"):
        _ = answer.label


def test_every_budget_reaches_the_service(service: HttpService, connect: Clients) -> None:
    answer = connect(service).infer(
        windows(service),
        latency_ms=5000,
        energy_mj=7000,
        power_w=500,
        accuracy_floor=0.25,
        strict=False,
        cascade=0.9,
    )
    budget = answer.receipt.budget
    assert (budget.latency.asked_ms, budget.energy.asked_mj) == (5000, 7000)
    assert (budget.power.asked_w, budget.accuracy.asked) == (500, 0.25)
    assert answer.receipt.cascade


def test_preferences_reach_the_service_together(service: HttpService, connect: Clients) -> None:
    answer = connect(service).infer(
        windows(service), latency_ms=5000, least_energy=True, strict=True
    )
    assert answer.plan.ratio == 0.9
    assert answer.receipt.met
    assert connect(service).plan(least_energy=True, model="toy").plan.ratio == 0.9
    assert connect(service).infer(windows(service), least_energy=False).plan.ratio == 0.0


def test_the_deadline_of_a_call_is_a_latency_budget_too(
    service: HttpService, connect: Clients
) -> None:
    client = connect(service, deadline_s=9)
    assert client.infer(windows(service)).receipt.budget.latency is None
    assert client.infer(windows(service), deadline_s=3).receipt.budget.latency.asked_ms <= 3000
    both = client.infer(windows(service), deadline_s=3, latency_ms=20_000)
    assert both.receipt.budget.latency.asked_ms <= 3000


def test_identity_and_trace_are_passed_on(service: HttpService, connect: Clients) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    name = f"client-{time.monotonic_ns()}"
    answer = connect(service).infer(windows(service), request_id=name, traceparent=trace)
    assert answer.request_id == name
    assert service.log_of(name)[-1]["traceparent"] == trace


def test_a_dry_run_says_what_would_be_chosen(service: HttpService, connect: Clients) -> None:
    run = connect(service).plan(["sensor_1", "sensor_2"], latency_ms=3000, batch=2)
    assert run.plan.presence == ("sensor_1", "sensor_2")
    assert {option.ratio for option in run.options} == {0.0, 0.5, 0.9}
    assert run.plan.reason


def test_models_and_variants_are_described(service: HttpService, connect: Clients) -> None:
    client = connect(service)
    (summary,) = [m for m in client.models() if m.default]
    details = client.model(summary.name)
    assert details.modalities[0].shape == (12, 3)
    assert details.classes == tuple(f"class-{i}" for i in range(4))
    assert client.model() == details
    cards = client.variants("toy")
    assert {card.ratio for card in cards} >= {0.0, 0.5, 0.9}
    assert all(card.latency_ms["1"] > 0 for card in cards)


def test_a_simulated_window_can_be_inferred(service: HttpService, connect: Clients) -> None:
    client = connect(service, model="toy")
    sample = client.sample(missing=["sensor_4"], label="class-2", seed=3)
    assert (sample.label, sample.inputs["sensor_4"]) == ("class-2", None)
    assert sample.inputs["sensor_0"].shape == (12, 3)
    assert client.infer(sample.inputs).plan.presence == tuple(f"sensor_{i}" for i in range(4))


def test_the_power_cap_is_set_and_lifted(guarded: Guarded, connect: Clients) -> None:
    client = connect(guarded.service, api_key=guarded.admin_key)
    assert client.set_power_cap(50).cap_w == 50
    assert client.power().cap_w == 50
    schedule = {"steps": [{"after_s": 0, "cap_w": 60}], "repeat_s": 10}
    assert client.set_power_schedule(schedule).schedule is not None
    assert client.set_power_cap(None).cap_w is None
    with pytest.raises(WrongFieldError, match="cap_w") as caught:
        client.set_power_cap(-1)
    assert caught.value.field == "cap_w"


def test_versions_are_loaded_beside_each_other_and_unloaded(
    start_http: StartHttp, connect: Clients, tmp_path: Path
) -> None:
    client = connect(start_http(), model="toy")
    assert _states(client) == {"2": "READY", "1": "UNAVAILABLE"}
    assert client.load("toy", version="1") == ("2", "1")
    assert _states(client) == {"2": "READY", "1": "READY"}
    window = {client.model(version="1").modalities[0].name: np.zeros((4, 1))}
    for binary in (True, False):
        assert client.infer(window, version="1", binary=binary).version == "1"
    assert client.unload("toy", version="1") == ("2",)
    with pytest.raises(NotFoundError):
        client.infer(window, version="1")
    (tmp_path / "service-0" / "models" / "toy" / "3").mkdir()
    with pytest.raises(UnusableModelError):
        client.load("toy", version="3")
    assert [e.version for e in client.repository(ready=True)] == ["2"]
    with pytest.raises(NotFoundError):
        client.load("nobody")


def _states(client: Any) -> dict[str, str]:
    (listed,) = client.models()
    states = {entry.version: entry.state for entry in client.repository()}
    assert states == {version.version: version.state for version in listed.versions}
    return states


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_wrong_windows_are_refused_by_name(
    service: HttpService, connect: Clients, binary: bool
) -> None:
    client = connect(service, model="toy", binary=binary)
    with pytest.raises(WrongInputError, match="sensor_2") as caught:
        client.infer({"sensor_2": np.zeros((3, 3))})
    assert caught.value.modality == "sensor_2"
    assert caught.value.received
    assert caught.value.request_id
    with pytest.raises(WrongInputError, match="sensor_9"):
        client.infer({"sensor_9": np.zeros((3, 3))})
    with pytest.raises(WrongInputError):
        client.infer({"sensor_2": None})


def test_a_budget_that_can_not_be_met_says_the_least_it_could_be(
    untouched: HttpService, connect: Clients
) -> None:
    with pytest.raises(BudgetError) as caught:
        connect(untouched).plan(latency_ms=1, strict=True, model="toy")
    assert (caught.value.budget, caught.value.asked) == ("latency", 1)
    assert caught.value.least_possible > 1


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"energy_mj": -1}, HeaderError),
        ({"latency_ms": float("nan")}, HeaderError),
        ({"model": "nobody"}, NotFoundError),
        ({"model": "../toy"}, NotFoundError),
        ({"model": ".."}, NotFoundError),
        ({"model": "toy", "version": "."}, NotFoundError),
        ({"model": "toy", "version": "77"}, NotFoundError),
        ({"request_id": "a\nb"}, ClientError),
    ],
)
def test_what_makes_no_sense_is_an_error_of_its_kind(
    service: HttpService, connect: Clients, options: dict[str, Any], kind: type[ClientError]
) -> None:
    with pytest.raises(kind):
        connect(service).infer(windows(service), **options)


def test_a_key_opens_what_it_is_for(guarded: Guarded, connect: Clients) -> None:
    service = guarded.service
    client, inputs = connect(service, api_key=guarded.infer_key), windows(service)
    answers = [client.infer(inputs) for _ in range(2)]  # as JSON, then as tensors
    assert answers[0].label == answers[1].label
    with pytest.raises(ForbiddenError) as caught:
        client.models()
    assert caught.value.scope == "read"
    for stranger in (connect(service), connect(service, api_key="guessed")):
        with pytest.raises(UnauthorisedError):
            stranger.infer(inputs)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("model", [None, "toy"])
def test_both_ways_of_sending_give_the_same_answer(
    service: HttpService, connect: Clients, model: str | None, binary: bool
) -> None:
    inputs = windows(service, "sensor_0", "sensor_2", batch=2, seed=7)
    client = connect(service, model=model, binary=binary)
    plain = client.infer(inputs, binary=False, id="same")
    answer = client.infer(inputs, id="same")
    assert answer.predictions == plain.predictions
    assert (answer.model, answer.version, answer.id) == ("toy", "2", "same")
    assert answer.plan.presence == plain.plan.presence


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_a_strict_budget_that_is_impossible_is_refused_over_both(
    untouched: HttpService, connect: Clients, binary: bool
) -> None:
    client = connect(untouched, model="toy", binary=binary)
    with pytest.raises(BudgetError) as caught:
        client.infer(windows(untouched), energy_mj=1e-6, strict=True)
    assert caught.value.budget == "energy"
    assert caught.value.asked == pytest.approx(1e-6)
    assert caught.value.least_possible > 1


def test_a_request_too_large_says_the_limit(service: HttpService, connect: Clients) -> None:
    with pytest.raises(TooLargeError) as caught:
        connect(service).infer(windows(service, batch=500))
    assert caught.value.limit_bytes == 200_000


def test_a_shed_request_is_sent_again_when_the_service_says_so(
    start_http: StartHttp, connect: Clients
) -> None:
    service = start_http(max_queue=0)
    flooding = threading.Event()
    inputs = windows(service, batch=32)

    def flood(_: int) -> None:
        with Client(service.url, retries=Retries(attempts=1)) as rival:
            while not flooding.is_set():
                with suppress(OverloadedError):
                    rival.infer(inputs)

    with ThreadPoolExecutor(max_workers=4) as threads:
        rivals = [threads.submit(flood, n) for n in range(4)]
        try:
            shed = _first_refusal(connect(service, retries=Retries(attempts=1)), inputs)
            patient = connect(service, retries=Retries(attempts=40))
            began_s = time.monotonic()
            answers = [patient.infer(inputs, deadline_s=40) for _ in range(2)]
        finally:
            flooding.set()
    assert all(rival.exception() is None for rival in rivals)
    assert (shed.status, shed.reason) == (429, "queue_full")
    assert shed.retry_after_s > 0
    assert len(answers) == 2
    assert time.monotonic() - began_s < 40


def _first_refusal(client: Any, inputs: Arrays) -> OverloadedError:
    for _ in range(500):
        try:
            client.infer(inputs)
        except OverloadedError as error:
            return error
    raise AssertionError("a service without a queue never refused anybody")


def test_a_service_that_goes_away_and_comes_back_is_found_again(
    start_http: StartHttp, connect: Clients
) -> None:
    first = start_http(ready=False)
    client = connect(first, deadline_s=30, retries=Retries(attempts=60, longest_wait_s=0.3))
    client.wait_until_ready(60)
    before = client.infer(windows(first))
    assert client.ready()
    first.stop()
    assert not client.ready()
    assert not client.live()
    port = int(first.url.rpartition(":")[2])
    again = start_http(ready=False, port=port)
    assert again.process.poll() is None
    after = client.infer(windows(first))
    assert client.ready()
    assert after.label == before.label


def test_nobody_at_home_is_told_with_the_number_of_tries(connect: Clients) -> None:
    client = connect(f"http://127.0.0.1:{free_port()}", retries=Retries(attempts=2))
    with pytest.raises(ConnectionFailedError, match=r"can't be reached.*sent 2 times"):
        client.infer({"sensor_0": np.zeros((12, 3))})
    with pytest.raises(DeadlineError, match=r"not ready within 0\.2 s"):
        client.wait_until_ready(0.2)


def test_a_service_that_hangs_does_not_hold_the_caller_beyond_the_deadline(
    connect: Clients,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began_s = time.monotonic()
        with pytest.raises(DeadlineError, match=r"no answer within 0\.3 s"):
            client.infer({"sensor_0": np.zeros((12, 3))}, deadline_s=0.3)
    assert 0.3 <= time.monotonic() - began_s < 3


def test_an_answer_that_drips_does_not_either(connect: Clients) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dripping:
        thread = threading.Thread(target=_drip, args=(dripping,), daemon=True)
        thread.start()
        client = connect(f"http://127.0.0.1:{dripping.getsockname()[1]}")
        began_s = time.monotonic()
        with pytest.raises(DeadlineError):
            client.infer({"sensor_0": np.zeros((12, 3))}, deadline_s=0.3)
        assert time.monotonic() - began_s < 3
        connect.close()
        thread.join(timeout=10)
        assert not thread.is_alive()


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while True:
                connection.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            return


def test_a_connection_dropped_before_the_answer_is_tried_again(
    service: HttpService, connect: Clients
) -> None:
    upstream = ("127.0.0.1", int(service.url.rpartition(":")[2]))
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=_drop_then_relay, args=(door, upstream), daemon=True)
        thread.start()
        client = connect(f"http://127.0.0.1:{door.getsockname()[1]}")
        assert client.infer(windows(service)).labels
        connect.close()
        thread.join(timeout=10)
        assert not thread.is_alive()


def _drop_then_relay(door: socket.socket, upstream: tuple[str, int]) -> None:
    """Drop the first two connections once they have sent something; pass the third on."""
    for _ in range(2):
        connection, _ = door.accept()
        connection.recv(65_536)
        connection.close()
    connection, _ = door.accept()
    with connection, socket.create_connection(upstream) as service:
        back = threading.Thread(target=_pump, args=(service, connection), daemon=True)
        back.start()
        _pump(connection, service)
        back.join(timeout=10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(65_536):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
