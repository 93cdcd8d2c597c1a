"""Does every panel show something, and does every alert go off, with the real service behind?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from loadtests.bench import Bench, Demand
from loadtests.board_picture import read_panels
from loadtests.client import Shot, Target, replay
from loadtests.messages import infer_message, request_body
from loadtests.prometheus_server import PrometheusServer, prometheus_running, promtool
from loadtests.redis_server import redis_running
from loadtests.server import Server
from monitoring.alerts import ALERTS
from monitoring.boards import BOARDS
from monitoring.cases import CASES, promtool_test
from monitoring.panels import concrete
from monitoring.rules import RECORDINGS
from sentryfuse.bench.record import Record
from sentryfuse.bundle import Bundle

RECORD = "dashboards"
_FOLDER = Path(__file__).parents[2] / "docker/prometheus"
RULES = (_FOLDER / "rules.yml", _FOLDER / "alerts.yml")
SETTINGS: dict[str, Any] = {
    "warm_all": False,
    "power_cap_w": 20,
    "site_cap_w": 40,
    "site_share_w": 20,
    "site_guaranteed_w": 20,
}
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_BUDGETS: tuple[dict[str, str], ...] = (
    {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"},
    {"X-Latency-Budget-Ms": "500"},
    {"X-Latency-Budget-Ms": "0.01"},
    {"X-Energy-Budget-mJ": "0.001"},
    {"X-Power-Budget-W": "50"},
    {"X-Accuracy-Floor": "0.9999"},
    {"X-Latency-Budget-Ms": "0.01", "Prefer": "handling=strict"},
)
"""Of the requests, in turns: kept, missed and refused."""
_AHEAD_S = 0.5
_SCRAPES = 2
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One expression, and what a real Prometheus gave for it."""

    where: str
    expr: str
    values: int
    """Series with a finite value."""
    goes_off: bool = False
    """Whether it is an alert that went off for made-up series."""

    @property
    def shows_something(self) -> bool:
        """Whether somebody who looks would see anything."""
        return self.values > 0 or self.goes_off


def run(bench: Bench, *, seconds: float = 20.0, rate_hz: float = 20.0) -> Record:
    """Put a service with cap, site and Redis under a small load, and ask Prometheus everything.

    Args:
        bench: Where.
        seconds: How long the load lasts; Prometheus scrapes each second.
        rate_hz: Requests per second, with all kinds of budgets, kept and missed.
    """
    with ExitStack() as stack:
        redis, folder = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in "ab")
        shared = stack.enter_context(redis_running(redis))
        server = stack.enter_context(bench.server(redis_url=shared.url, **SETTINGS))
        target = f"{server.host}:{server.port}"
        prometheus = stack.enter_context(prometheus_running(folder, target, RULES))
        with bench.screen.progress() as report:
            report("load", 0, 1)
            _wait_for_scrapes(prometheus)
            began_s = time.time()
            _load(bench, server, seconds=seconds, rate_hz=rate_hz)
            report("load", 1, 1)
        _wait_for_rules(prometheus)
        asked = [*ask_boards(prometheus), *ask_rules(prometheus)]
        traced = traces(prometheus)
        panels = read_panels(prometheus, began_s, began_s + seconds)
    record = bench.record(
        RECORD,
        "Does every panel show something, and does every alert go off, with the real service?",
        Demand(rate_hz=rate_hz, deadline_s=0.0, capacity_hz=None),
        seconds=seconds,
        server_settings=SETTINGS,
    )
    full = [each for each in asked if each.shows_something]
    spread = {"expressions": float(len(asked)), "alerts": float(len(ALERTS))}
    record.add_figure("dashboards_nonempty_ratio", len(full) / len(asked), "ratio", spread)
    record.add("expressions", [asdict(each) for each in asked])
    record.add("exemplars", traced)
    record.add("panels", panels)
    for each in asked:
        if not each.shows_something:
            bench.screen.say(f"nothing: {each.where}: {each.expr}")
    return record


def ask_boards(prometheus: PrometheusServer) -> Iterator[Asked]:
    """Ask what every panel asks, for all nodes."""
    for board in BOARDS:
        for chart in board.charts():
            for query in chart.queries:
                expr = concrete(query.expr)
                where = f"{board.title}: {chart.title}"
                yield Asked(where=where, expr=expr, values=len(prometheus.values(expr)))


def ask_rules(prometheus: PrometheusServer) -> Iterator[Asked]:
    """Ask for every recorded series and every alert; try alerts on made-up series too."""
    for recording in RECORDINGS:
        values = prometheus.values(recording.name)
        yield Asked(where=recording.name, expr=recording.expr, values=len(values))
    try_alerts(RULES)
    proven = {case.alert for case in CASES if case.goes_off}
    for alert in ALERTS:
        values = prometheus.values(alert.expr)
        yield Asked(
            where=alert.name,
            expr=alert.expr,
            values=len(values),
            goes_off=alert.name in proven,
        )


def try_alerts(rule_files: Iterable[Path]) -> None:
    """Let every alert go off, and not go off, for made-up series.

    Raises:
        PromtoolError: One does not do what it should.
    """
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test.yml"
        content = promtool_test(CASES, [path.resolve() for path in rule_files])
        test.write_text(yaml.safe_dump(content), encoding="utf-8")
        promtool("test", "rules", test)


def traces(prometheus: PrometheusServer) -> int:
    """Count the traces that Prometheus has behind latencies."""
    now_s = time.time()
    found = prometheus.ask(
        "query_exemplars",
        query="sentryfuse_request_duration_seconds_bucket",
        start=f"{now_s - 600:.3f}",
        end=f"{now_s:.3f}",
    )
    ids = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    return len(ids)


def _load(bench: Bench, server: Server, *, seconds: float, rate_hz: float) -> None:
    messages = _messages(bench.bundle)
    shots = [Shot(i / rate_hz, i % len(messages)) for i in range(round(seconds * rate_hz))]
    target = Target(host=server.host, port=server.port)
    bench.submit(replay, target, messages, shots, time.monotonic() + _AHEAD_S).result()


def _messages(bundle: Bundle) -> tuple[bytes, ...]:
    """Requests with every kind of budget, for all sensors and for one."""
    everything = bundle.spec.full_presence.bits
    return tuple(
        infer_message(request_body(bundle, presence, windows=windows), headers)
        for presence, windows in ((everything, 1), (1, 2))
        for headers in _BUDGETS
    )


def _wait_for_rules(prometheus: PrometheusServer) -> None:
    """Give Prometheus time to look at the rules."""
    prometheus.wait_until(
        lambda: bool(prometheus.values(RECORDINGS[-1].name)),
        "recorded series",
        patience_s=_PATIENCE_S,
    )


def _wait_for_scrapes(prometheus: PrometheusServer) -> None:
    """Give Prometheus a few scrapes before anything is counted."""
    scraped = f"count_over_time(sentryfuse_ready[1m]) > {_SCRAPES}"
    prometheus.wait_until(
        lambda: bool(prometheus.values(scraped)), "scrapes", patience_s=_PATIENCE_S
    )
