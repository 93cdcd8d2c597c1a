"""The load-test client against a small real HTTP server; every scenario, shortly, for real."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.bench import Bench, bench
from loadtests.client import Shot, Target, client_process, replay, saturate
from loadtests.figures import draw_cap
from loadtests.messages import budget_headers, infer_message, request_body
from loadtests.neighbour import Stretch, neighbour
from loadtests.play.sheet import find_sheet, read_sheet
from loadtests.run import main
from loadtests.scenarios import (
    attainment,
    cap,
    drain,
    overload,
    play,
    policies,
    profile,
    redis_faults,
    reload,
    site,
    soak,
)
from loadtests.server import ServerError
from loadtests.site_figure import draw_site
from loadtests.visits import WEIGHTS
from sentryfuse.bench.record import Record
from sentryfuse.bundle import write_bundle
from tests.integration.http_server import RATIOS, simulated_bundle, write_profile

ANSWER = json.dumps(
    {
        "plan": {"expected": {"accuracy": 0.875}},
        "receipt": {"total_ms": 4.5, "queue_ms": 1.5, "energy_mj": 7.0},
    }
).encode()
MESSAGES = (
    infer_message(b'{"n": 0}', {}),
    infer_message(b'{"n": 1}', {"X-Latency-Budget-Ms": "9"}),
)

Behaviour = Callable[[int, asyncio.StreamWriter], None]


def respond(writer: asyncio.StreamWriter, status: str, body: bytes, *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
    writer.write(body)


def answer(_: int, writer: asyncio.StreamWriter) -> None:
    met = ("sentryfuse-variant: 1f-500", "sentryfuse-budget-met: true")
    respond(writer, "200 OK", ANSWER, *met)


class SmallServer:
    """Reads framed requests on any number of connections and lets a behaviour answer each."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.bodies: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._behaviour = behaviour

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                self._behaviour(len(self.bodies) - 1, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self.writers)


@contextmanager
def small_server(behaviour: Behaviour = answer) -> Iterator[tuple[SmallServer, Target]]:
    """Serve on a free port from a thread of its own."""
    served, started, stop = SmallServer(behaviour), threading.Event(), asyncio.Event()
    loop, port = asyncio.new_event_loop(), 0

    async def serve() -> None:
        nonlocal port
        listening = await asyncio.start_server(served, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        listening.close()
        for writer in served.writers:
            writer.transport.abort()
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield served, Target(host="127.0.0.1", port=port, connections=2, patience_s=0.5)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def every(gap_s: float, count: int) -> list[Shot]:
    return [Shot(i * gap_s, i % 2) for i in range(count)]


def soon() -> float:
    return time.monotonic() + 0.05


def test_every_request_is_sent_once_and_when_it_is_due() -> None:
    with small_server() as (served, target):
        volley = replay(target, MESSAGES, every(0.004, 100), soon())
    assert len(served.bodies) == len(volley.outcomes) == 100
    assert sorted(served.bodies) == [b'{"n": 0}'] * 50 + [b'{"n": 1}'] * 50
    lags_s = sorted(o.sent_s - o.scheduled_s for o in volley.outcomes)
    assert lags_s[0] >= 0
    assert lags_s[50] < 0.002  # the median: this machine may be busy with something else
    assert [o.scheduled_s for o in volley.outcomes] == pytest.approx(
        [0.004 * i for i in range(100)]
    )


def test_an_answer_is_read_with_its_receipt() -> None:
    with small_server() as (_, target):
        (outcome,) = replay(target, MESSAGES, [Shot(0.0, 0)], soon()).outcomes
    assert (outcome.status, outcome.budget_met, outcome.variant) == (200, True, "1f-500")
    assert (outcome.expected_accuracy, outcome.energy_j) == (0.875, 0.007)
    assert outcome.stages_s == {"total": 0.0045, "queue": 0.0015}
    assert outcome.sent_s < outcome.first_byte_s < outcome.scheduled_s + 1


def test_a_server_that_stalls_delays_no_later_request() -> None:
    def stall(index: int, writer: asyncio.StreamWriter) -> None:
        if index == 0:
            asyncio.get_running_loop().call_later(0.3, answer, index, writer)
        else:
            answer(index, writer)

    with small_server(stall) as (served, target):
        first, *others = replay(target, MESSAGES, every(0.005, 40), soon()).outcomes
    assert first.latency_s >= 0.29
    assert max(o.first_byte_s for o in others) < first.first_byte_s
    assert served.connections <= 4


@pytest.mark.parametrize(("in_turn", "used"), [(False, 1), (True, 2)])
def test_idle_connections_are_used_in_turn_only_if_asked(in_turn: bool, used: int) -> None:
    def name_connection(index: int, writer: asyncio.StreamWriter) -> None:
        seen.add(writer.get_extra_info("peername"))
        answer(index, writer)

    seen: set[object] = set()
    with small_server(name_connection) as (_, target):
        replay(replace(target, in_turn=in_turn), MESSAGES, every(0.05, 6), soon())
    assert len(seen) == used


def test_waiting_for_a_connection_counts_from_the_scheduled_time() -> None:
    def slow(index: int, writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.1, answer, index, writer)

    with small_server(slow) as (served, target):
        one = Target(host=target.host, port=target.port, connections=1, most_connections=1)
        outcomes = replay(
            one, MESSAGES, [Shot(0.0, 0), Shot(0.0, 0), Shot(0.0, 1)], soon()
        ).outcomes
    assert served.connections == 1
    assert [round(o.latency_s, 1) for o in outcomes] == [0.1, 0.2, 0.3]


def test_refusals_are_outcomes_with_their_retry_after() -> None:
    def refuse(index: int, writer: asyncio.StreamWriter) -> None:
        problem = json.dumps({"type": "urn:x:shed", "retry_after_s": 0.25}).encode()
        respond(writer, "429 Too Many Requests", problem, "Retry-After: 1")

    with small_server(refuse) as (served, target):
        outcomes = replay(target, MESSAGES, every(0.002, 20), soon()).outcomes
    assert len(served.bodies) == 20
    assert {(o.status, o.error, o.retry_after_s) for o in outcomes} == {(429, "urn:x:shed", 0.25)}


def test_a_reset_costs_one_request_and_is_not_retried() -> None:
    def reset_some(index: int, writer: asyncio.StreamWriter) -> None:
        if index % 5 == 2:
            writer.transport.abort()
        else:
            answer(index, writer)

    with small_server(reset_some) as (served, target):
        outcomes = replay(target, MESSAGES, every(0.004, 50), soon()).outcomes
    assert len(served.bodies) == len(outcomes) == 50
    assert sum(o.status == 200 for o in outcomes) == 40
    assert sum("connection lost" in o.error for o in outcomes) == 10


def test_a_connection_that_is_asked_to_close_is_not_used_again() -> None:
    def close(index: int, writer: asyncio.StreamWriter) -> None:
        respond(writer, "200 OK", ANSWER, "Connection: close")

    with small_server(close) as (served, target):
        one = Target(host=target.host, port=target.port, connections=1, patience_s=0.5)
        outcomes = replay(one, MESSAGES, every(0.02, 5), soon()).outcomes
    assert served.connections == 5
    assert not any("connection lost" in o.error for o in outcomes)


def test_silence_and_nonsense_are_failures_not_answers() -> None:
    def odd(index: int, writer: asyncio.StreamWriter) -> None:
        if index == 0:
            return
        if index == 1:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        if index == 2:
            respond(writer, "200 OK", b"no JSON")

    with small_server(odd) as (_, target):
        outcomes = replay(target, MESSAGES, every(0.02, 3), soon()).outcomes
    assert [o.status for o in outcomes] == [0, 0, 0]
    assert "no answer within 0.5 s" in outcomes[0].error
    assert "Content-Length" in outcomes[1].error
    assert "unreadable" in outcomes[2].error


def test_a_server_that_is_gone_fails_every_request_and_ends_the_run() -> None:
    def close_all(index: int, writer: asyncio.StreamWriter) -> None:
        gone.append(index)
        writer.transport.abort()

    gone: list[int] = []
    with small_server(close_all) as (_, target):
        outcomes = replay(target, MESSAGES, every(0.002, 20), soon()).outcomes
    assert len(outcomes) == len(gone) == 20
    assert not any(o.status for o in outcomes)
    with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
        replay(target, MESSAGES, every(0.002, 1), soon())


def test_saturating_keeps_so_many_under_way() -> None:
    def slow(index: int, writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.02, answer, index, writer)

    with small_server(slow) as (served, target):
        volley = saturate(target, MESSAGES, in_flight=4, seconds=0.3)
    assert served.connections == 4
    assert 20 <= len(volley.outcomes) == len(served.bodies) <= 64
    assert all(o.status == 200 for o in volley.outcomes)


@pytest.mark.benchmark
def test_sending_takes_little_cpu_time_in_a_process_of_its_own() -> None:
    body = b"0" * 45_000
    with small_server() as (served, target), client_process() as submit:
        message = infer_message(body, {})
        volley = submit(replay, target, (message,), [Shot(i / 500, 0) for i in range(500)], 0.0)
        cpu_s = volley.result().cpu_s / 500
    assert len(served.bodies) == 500
    print(f"{1e3 * cpu_s:.3f} ms of CPU time for each request")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A small made-up model, served with a profile that says 10 to 40 ms for 0.2 ms of work."""
    folder = tmp_path_factory.mktemp("loadtests")
    bundle = simulated_bundle()
    digest = write_bundle(bundle, folder / "models" / "toy" / "1")
    settings = {"ratios": RATIOS, "meter": "cpu-time"}
    with bench(folder / "models", "toy/1", quiet=True, **settings) as ready:
        write_profile(bundle, digest, ready.profiles)
        yield ready


def saved(record: Record, folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(record.save(folder).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.benchmark
def test_attainment_counts_every_request_that_was_sent(toy: Bench, tmp_path: Path) -> None:
    record = saved(
        attainment.run(toy, seconds=1.0, deadline_s=1.0, capacity_seconds=0.4, warm_seconds=0.2),
        tmp_path,
    )
    score, settings = record["trial"]["score"], record["settings"]
    fates = ("in_time", "late", "shed", "dropped", "failed")
    assert score["sent"] == sum(score[fate] for fate in fates) > 0
    assert sum(record["trial"]["by_second"]["sent"]) == score["sent"]
    assert len(record["missed"]) == score["sent"] - score["in_time"]
    assert score["in_time"] > 0
    assert score["failed"] == 0, record["trial"]["errors"]
    assert record["figures"]["attainment_real"]["value"] == score["attainment"]
    assert settings["rate_hz"] == pytest.approx(settings["capacity_hz"] / 2)


@pytest.mark.benchmark
def test_policies_take_turns_on_the_same_requests(toy: Bench, tmp_path: Path) -> None:
    record = saved(
        policies.run(
            toy,
            policies=("fair-price", "fixed-900"),
            traces=("poisson", "neighbour"),
            seconds=0.6,
            rounds=1,
            rate_hz=40,
            deadline_s=1.0,
            warm_seconds=0,
        ),
        tmp_path,
    )
    trials = record["trials"]
    assert [(t["trace"], t["policy"]) for t in trials] == [
        ("poisson", "fair-price"),
        ("poisson", "fixed-900"),
        ("neighbour", "fixed-900"),
        ("neighbour", "fair-price"),
    ]
    assert trials[0]["score"]["sent"] == trials[1]["score"]["sent"]
    assert set(trials[1]["ratios"]) == {"900"}
    assert len(record["table"]) == 4
    assert record["figures"]["policy_effective_accuracy_real"]["value"] > 0


@pytest.mark.benchmark
def test_a_cap_run_is_cut_at_its_steps_and_drawn(toy: Bench, tmp_path: Path) -> None:
    record = cap.run(
        toy, steps=(0.9,), step_seconds=4.6, free_seconds=1.0, rate_hz=40, deadline_s=1.0
    )
    (phase,) = saved(record, tmp_path)["phases"]
    assert len(phase["seconds"]) == 4
    assert phase["cap_w"] > 3
    assert set(record.figures) == {
        "cap_settle_seconds",
        "cap_mean_error_ratio",
        "cap_over_seconds_ratio",
    }
    picture = draw_cap(tmp_path / "records" / "loadtest-cap.json", tmp_path / "cap.svg")
    assert "node power" in picture.read_text(encoding="utf-8")


@pytest.mark.benchmark
def test_servers_start_with_profiles_that_are_right_and_wrong(toy: Bench, tmp_path: Path) -> None:
    record = saved(profile.run(toy, starts=1, requests=100, rate_hz=400, deadline_s=1.0), tmp_path)
    windows = record["attainment_by_window"]
    assert {name: len(found) for name, found in windows.items()} == {
        "right": 2,
        "profile-slow": 2,
        "profile-fast": 2,
    }
    assert record["figures"]["profile_recovery_requests_real"]["value"] in (0, 50, 100)


@pytest.mark.benchmark
def test_a_redis_run_tells_what_befell_it_and_what_requests_noticed(
    toy: Bench, tmp_path: Path
) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    record = saved(
        redis_faults.run(
            toy,
            seconds=0.6,
            recovery_seconds=1.5,
            rate_hz=20,
            sensors=4,
            faults=["killed"],
        ),
        tmp_path,
    )
    (killed,) = record["turns"]
    assert len(killed["healthy_s"]) == len(killed["faulty_s"]) == 12
    assert killed["redis_in_faulty"]["failed: unreachable"] > 0
    assert record["figures"]["redis_fault_failed"]["value"] == 0
    assert record["figures"]["redis_fault_look_ups_per_request"]["value"] > 0.5


@pytest.mark.benchmark
def test_a_site_run_kills_a_node_and_weighs_them_all(toy: Bench, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    run = site.run(toy, seconds=8.0, kill_every_s=8.0, rate_hz=20, share_cores=1.0, deadline_s=1.0)
    record = saved(run, tmp_path)
    figure = record["figures"]["site_cap_over_ratio"]
    assert figure["spread"]["kills"] == 1
    assert figure["spread"]["windows"] > 20
    assert record["fates"]["200"] > 0
    assert [len(power_w) for power_w in record["power_w"]] == [len(record["power_w"][0])] * 3
    assert min(map(min, record["power_w"])) >= record["settings"]["idle_w"] - 1e-3
    picture = draw_site(tmp_path / "records" / "loadtest-site.json", tmp_path / "site.svg")
    assert "power, W" in picture.read_text(encoding="utf-8")


def test_a_scaled_profile_is_wrong_in_its_latencies_alone(toy: Bench, tmp_path: Path) -> None:
    profile.write_scaled(toy.profiles, tmp_path / "wrong", 1.5)
    (right,), (wrong,) = toy.profiles.glob("*.json"), (tmp_path / "wrong").glob("*.json")
    pairs = zip(
        json.loads(right.read_text())["samples"],
        json.loads(wrong.read_text())["samples"],
        strict=True,
    )
    for a, b in pairs:
        assert b == {**a, "latency_s": pytest.approx(1.5 * a["latency_s"])}


@pytest.mark.benchmark
def test_servers_that_are_told_to_end_under_load_lose_nothing(toy: Bench, tmp_path: Path) -> None:
    record = saved(drain.run(toy, rounds=1, seconds=1.0, rate_hz=150, deadline_s=1.0), tmp_path)
    assert record["figures"]["drain_lost"]["value"] == 0, record["lost"]
    for ending in record["endings"]:
        assert ending["exit_status"] == 0
        assert ending["refused"] > 0, "it ended while requests came"
        assert ending["statuses"]["200"] > 0


@pytest.mark.benchmark
def test_an_overload_is_answered_in_part_and_refused_in_the_rest(
    toy: Bench, tmp_path: Path
) -> None:
    record = saved(
        overload.run(toy, seconds=1.5, capacity_seconds=0.5, bursts=1, deadline_s=0.1), tmp_path
    )
    score, figure = record["score"], record["figures"]["overload_goodput_ratio"]
    assert score["failed"] == 0, record["tally"]
    assert score["in_time"] > 0
    assert score["shed"] > score["sent"] / 2
    assert figure["spread"]["shed_without_retry_after"] == 0
    assert figure["spread"]["capacity_hz"] > 0


@pytest.mark.benchmark
def test_versions_that_come_and_go_under_load_lose_nothing(toy: Bench, tmp_path: Path) -> None:
    few = replace(toy, settings={**toy.settings, "warm_missing": 0})
    scenario = reload.run(
        few, seconds=4.0, quiet_seconds=1.0, pause_s=0.05, rate_hz=100, deadline_s=1.0
    )
    record = saved(scenario, tmp_path)
    figure = record["figures"]["reload_lost"]
    assert figure["value"] == 0, record["lost"]
    assert figure["spread"]["reloads"] >= 2
    assert figure["spread"]["refused_bundles"] >= 1
    assert figure["spread"]["requests_during"] > 0
    assert set(record["statuses"]) <= {"200", "429"}


@pytest.mark.benchmark
def test_a_minute_of_every_kind_of_visit_fails_nothing_and_leaves_no_memory_behind(
    toy: Bench, tmp_path: Path
) -> None:
    record = saved(soak.run(toy, minutes=1.0), tmp_path)
    assert record["failures"] == []
    assert {*record["visits"]} == {*WEIGHTS, "probe", "scrape"}
    for kind, statuses in record["visits"].items():
        assert sum(statuses.values()) > (0 if kind == "too large" else 5), kind
    assert record["figures"]["soak_rss_growth_ratio"]["value"] < 0.05, record["resident"]


@pytest.mark.benchmark
def test_a_neighbour_takes_about_what_it_is_told_to() -> None:
    with neighbour((Stretch(0.0, 0.5, 0.3), Stretch(0.7, 0.9, 0.5))) as taker:
        taker.begin(time.monotonic())
        taken_s = taker.taken_cpu_s()
    asked_s = len(os.sched_getaffinity(0)) * (0.5 * 0.3 + 0.2 * 0.5)
    assert 0.2 * asked_s < taken_s < 1.2 * asked_s


def test_a_server_that_does_not_start_says_why(toy: Bench) -> None:
    with pytest.raises(ServerError, match="SENTRYFUSE_RATIOS"), toy.server(ratios="2"):
        pass


def test_the_commands_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    scenarios = (
        "attainment",
        "policies",
        "cap",
        "profile",
        "drain",
        "overload",
        "reload",
        "soak",
        "redis",
        "site",
        "play",
    )
    for scenario in scenarios:
        with pytest.raises(SystemExit, match="0"):
            main([scenario, "--help"])
        assert "--no-record" in capsys.readouterr().out


def test_a_burst_in_one_moment_gets_an_answer_for_each_and_stages_that_add_up(toy: Bench) -> None:
    headers = budget_headers(latency_s=0.1, strict=True)
    message = infer_message(request_body(toy.bundle, toy.bundle.spec.full_presence.bits), headers)
    with toy.server() as server:
        target = Target(host=server.host, port=server.port, connections=80)
        outcomes = replay(target, (message,), [Shot(0.0, 0)] * 80, time.monotonic()).outcomes
    assert {o.status for o in outcomes} <= {200, 429, 504}
    answered = [o for o in outcomes if o.status == 200]
    assert answered
    for outcome in answered:
        stages = dict(outcome.stages_s)
        total_s = stages.pop("total")
        assert min(stages.values()) >= 0
        assert sum(stages.values()) <= total_s + 1e-5


@pytest.mark.benchmark
def test_a_scenario_of_a_file_is_played_and_its_page_tells_what_became_of_it(
    toy: Bench, tmp_path: Path
) -> None:
    (tmp_path / "day.csv").write_text(
        "at_s,sensors,windows\n" + "".join(f"{i / 50},sensor_{i % 5},1\n" for i in range(60)),
        encoding="utf-8",
    )
    source = (
        'about = "A day."\n[arrivals]\nreplay = "day.csv"\n[requests]\ndeadline_s = 1.0\n'
        "[[cap]]\nat_s = 0.5\nwatts = 50\n"
    )
    (tmp_path / "day.toml").write_text(source, encoding="utf-8")
    sheet = read_sheet(tmp_path / "day.toml")
    record = play.run(toy, sheet)
    html, lines = play.save(record, sheet, source, tmp_path / "out")
    play.save(record, sheet, source, tmp_path / "out")
    content = record.to_json()
    assert content["score"]["sent"] == 60
    assert content["score"]["failed"] == 0, content["series"]["errors"]
    assert sum(map(sum, content["series"]["mix"].values())) == 60
    assert [cap_w for _, cap_w in content["series"]["caps"]] == [None, 50.0]
    assert set(content["series"]["sensors"]) <= {1.0, None}
    written = html.read_text(encoding="utf-8")
    assert "A day." in written
    assert "<svg" in written
    logged = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    assert len(logged) == 2
    assert logged[0]["figures"]["in_time_ratio"] == content["figures"]["in_time_ratio"]


@pytest.mark.benchmark
def test_many_models_on_one_server_are_all_asked(toy: Bench) -> None:
    sheet = read_sheet(find_sheet("many-models"))
    few = replace(
        sheet,
        seconds=1.5,
        arrivals=replace(sheet.arrivals, load=None, rate_hz=60.0),
        models=replace(sheet.models, count=3, popularity=0.0),
    )
    content = play.run(toy, few).to_json()
    assert content["score"]["failed"] == 0, content["series"]["errors"]
    asked = content["series"]["models"]
    assert [*asked] == ["model-00", "model-01", "model-02"]
    assert sum(model["sent"] for model in asked.values()) == content["score"]["sent"]


def test_a_scenario_with_an_unknown_key_ends_the_command_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('about = "x"\n[arrivals]\nrate = 3\n', encoding="utf-8")
    with pytest.raises(SystemExit, match=r"mine.toml: unknown key 'rate' in \[arrivals\]"):
        main(["play", str(path)])
