"""One turn of one server: started, asked in every way, weighed, stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.peer import Peer
from benchmarks.peers.running import Running, ServerError
from benchmarks.peers.search import highest_rate
from loadtests.client import Shot, Target, Volley, replay, saturate
from loadtests.exchange import Exchange
from loadtests.outcome import Outcome
from loadtests.trial import Submit

DEADLINE_S = 0.020
IN_TIME = 0.99
"""Part of the requests that must be answered within the deadline."""
IN_FLIGHT = 32
"""At saturation: two full batches."""
_TOLERANCE = 1e-3
_LEAST_PART, _MOST_PART = 0.15, 1.1  # of the saturated rate: where the search looks
_MOST_PART_REFUSING = 2.5  # of a service that refuses, when saturated, what would be late anyhow
_PATIENCE_S = 1.0
_PAUSE_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long each part of a turn is."""

    seconds: float
    """Of each stretch: one client, saturation, each rate that is tried."""
    warm_s: float = 0.5
    idle_s: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What was found in one turn; times are seconds, rates requests per second."""

    ready_s: float
    idle_core_ratio: float
    one_p50_s: float
    one_p99_s: float
    one_cpu_s: float
    """CPU seconds of the server for each request of one client."""
    saturated_hz: float
    saturated_cpu_s: float
    client_cpu_s: float
    """CPU seconds of the client for each answer at saturation: it shares the server's cores."""
    saturated_failed: int
    kept_hz: float
    """Answers in time per second, at the highest rate with 99 % in time."""
    tried: tuple[tuple[float, float], ...]
    """Every rate tried, and the part in time."""
    rss_bytes: int
    pss_bytes: int
    processes: int
    ratios: Mapping[str, int] = field(default_factory=dict)
    """At that rate, of a service that adapts: answers by pruning ratio in thousandths."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for a record."""
        return asdict(self)


def take_turn(
    server: Running,
    peer: Peer,
    messages: Sequence[bytes],
    expected: Sequence[NDArray[np.float32]],
    submit: Submit,
    plan: Plan,
    *,
    seed: int,
) -> Turn:
    """Measure a server that was just started.

    Args:
        server: Still getting ready.
        peer: What it is.
        messages: One for each window.
        expected: Logits of each window.
        submit: Runs the client (:func:`loadtests.client.client_process`).
        plan: How long.
        seed: Of the arrivals: the same for everybody in one turn.

    Raises:
        ServerError: It does not start, or its answers are not the model's.
    """
    ready_s = server.wait_for_an_answer(messages[0])
    check_answers(server, peer, messages, expected)
    target = Target(
        host=server.host,
        port=server.port,
        patience_s=_PATIENCE_S,
        in_turn=True,
        read=read_any_answer,
    )

    def loaded(in_flight: int, seconds: float) -> tuple[Volley, float]:
        """Closed loop; CPU seconds of the server for each answer beside it."""
        before_s = server.cpu_s()
        volley = submit(saturate, target, messages, in_flight=in_flight, seconds=seconds).result()
        return volley, (server.cpu_s() - before_s) / max(len(answered(volley)), 1)

    loaded(4, plan.warm_s)
    before_s, began_s = server.cpu_s(), time.monotonic()
    time.sleep(plan.idle_s)
    idle = (server.cpu_s() - before_s) / (time.monotonic() - began_s)
    one, one_cpu_s = loaded(1, plan.seconds)
    full, full_cpu_s = loaded(IN_FLIGHT, plan.seconds)
    saturated_hz = len(answered(full)) / full.duration_s
    search = Search(server, target, messages, submit, plan.seconds, seed)
    if saturated_hz:
        search.run(saturated_hz, _MOST_PART_REFUSING if peer.adapts else _MOST_PART)
    memory = server.memory()
    latencies_s = [o.latency_s for o in answered(one) if o.latency_s is not None]
    if not latencies_s or not saturated_hz:
        raise ServerError(f"no answers under load: {[o.error for o in full.outcomes][:3]}")
    return Turn(
        ready_s=ready_s,
        idle_core_ratio=idle,
        one_p50_s=float(np.quantile(latencies_s, 0.5)),
        one_p99_s=float(np.quantile(latencies_s, 0.99)),
        one_cpu_s=one_cpu_s,
        saturated_hz=saturated_hz,
        saturated_cpu_s=full_cpu_s,
        client_cpu_s=full.cpu_s / len(answered(full)),
        saturated_failed=len(full.outcomes) - len(answered(full)),
        kept_hz=search.kept_hz,
        tried=tuple(search.tried),
        rss_bytes=memory.rss_bytes,
        pss_bytes=memory.pss_bytes,
        processes=memory.processes,
        ratios=search.ratios if peer.adapts else {},
    )


class Search:
    """Looks for the highest rate with 99 % in time, in an open loop of random arrivals."""

    def __init__(
        self,
        server: Running,
        target: Target,
        messages: Sequence[bytes],
        submit: Submit,
        seconds: float,
        seed: int,
    ) -> None:
        self._server, self._target, self._messages = server, target, messages
        self._submit, self._seconds, self._seed = submit, seconds, seed
        self.kept_hz = 0.0
        self.tried: list[tuple[float, float]] = []
        self.ratios: dict[str, int] = {}

    def run(self, saturated_hz: float, most_part: float) -> None:
        """Look around the rate at saturation."""
        highest_rate(
            self._keeps, least_hz=_LEAST_PART * saturated_hz, most_hz=most_part * saturated_hz
        )

    def _keeps(self, rate_hz: float) -> bool:
        schedule = arrivals(rate_hz, self._seconds, len(self._messages), self._seed)
        volley = self._submit(replay, self._target, self._messages, schedule, 0.0).result()
        punctual = [
            o for o in answered(volley) if o.latency_s is not None and o.latency_s <= DEADLINE_S
        ]
        part = len(punctual) / len(schedule)
        self.tried.append((rate_hz, part))
        time.sleep(_PAUSE_S)  # for what is still under way
        if part < IN_TIME:
            return False
        self.kept_hz = len(punctual) / self._seconds
        self.ratios = {}
        for outcome in punctual:
            ratio = outcome.variant.rpartition("-")[2]
            self.ratios[ratio] = self.ratios.get(ratio, 0) + 1
        return True


def arrivals(rate_hz: float, seconds: float, messages: int, seed: int) -> list[Shot]:
    """Arrivals at random (Poisson) over a while; as many as the rate says, to the request."""
    count = max(round(rate_hz * seconds), 1)
    at_s = np.sort(np.random.default_rng(seed).uniform(0, seconds, count))
    return [Shot(float(at), i % messages) for i, at in enumerate(at_s)]


def answered(volley: Volley) -> list[Outcome]:
    """Those that ended with a 200."""
    return [o for o in volley.outcomes if o.status == 200]


def read_any_answer(exchange: Exchange, began_s: float) -> Outcome:
    """What became of a request, whatever protocol its answer is in."""
    head, _, body = exchange.response.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    status = int(lines[0].split(" ")[1]) if exchange.response else 0
    refused = "" if status == 200 else f"{status} {body[:200]!r}"
    return Outcome(
        scheduled_s=exchange.scheduled_s - began_s,
        sent_s=None if exchange.sent_s is None else exchange.sent_s - began_s,
        first_byte_s=None if exchange.first_byte_s is None else exchange.first_byte_s - began_s,
        status=status,
        error=exchange.error or refused,
        variant=headers.get("sentryfuse-variant", ""),
    )


def check_answers(
    server: Running,
    peer: Peer,
    messages: Sequence[bytes],
    expected: Sequence[NDArray[np.float32]],
) -> None:
    """Ask for every window, many at a time, and compare each answer with the graph's.

    Raises:
        ServerError: One is not the model's: batches were mixed up, or another model answered.
    """
    rounds = 2 * list(range(len(messages)))
    with ThreadPoolExecutor(len(messages)) as pool:
        answers = list(pool.map(lambda i: server.ask(messages[i]), rounds))
    if peer.adapts:
        return  # another variant may have answered
    for index, (headers, body) in zip(rounds, answers, strict=True):
        answer = peer.answer(headers, body)
        if not same_answer(answer, expected[index]):
            raise ServerError(f"window {index} got {answer}, not {expected[index]}")


def same_answer(answer: NDArray[np.float32], logits: NDArray[np.float32]) -> bool:
    """Whether an answer says what logits say: themselves, probabilities, or only the largest."""
    odds = np.exp(logits - logits.max())
    probabilities = odds / odds.sum()
    best = int(logits.argmax())
    told = (logits, probabilities, np.array([best, probabilities[best]], "f4"))
    return any(
        answer.shape == t.shape and np.allclose(answer, t, rtol=_TOLERANCE, atol=_TOLERANCE)
        for t in told
    )
