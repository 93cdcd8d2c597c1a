"""What each alert must and must not go off for, as made-up series for ``promtool test rules``.

Series are in promtool's notation, one value each fifteen seconds: ``0+3x80`` rises by three for
twenty minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STEP, _LOOK = "15s", "1m"
_AT = "20m"

Series = Mapping[str, str]
"""Values by name and labels; every one gets a job and an instance."""


@dataclass(frozen=True, slots=True)
class Case:
    """One situation, twenty minutes after it began."""

    alert: str
    what: str
    goes_off: bool
    series: Series


def _budgets(kind: str, met: str, missed: str) -> Series:
    return {
        f'sentryfuse_budget_total{{kind="{kind}",outcome="met"}}': met,
        f'sentryfuse_budget_total{{kind="{kind}",outcome="missed"}}': missed,
    }


def _variants(smaller: str) -> Series:
    """Only the smaller of two variants of one presence answers."""
    of = 'model="m",version="1",presence="3"'
    return {
        f'sentryfuse_variant_inferences_total{{{of},ratio="0"}}': "0x80",
        f'sentryfuse_variant_inferences_total{{{of},ratio="0.9"}}': "0+10x80",
        f'sentryfuse_variant_expected_accuracy_ratio{{{of},ratio="0"}}': "0.9x80",
        f'sentryfuse_variant_expected_accuracy_ratio{{{of},ratio="0.9"}}': smaller,
    }


def _ten_watts(cap: str) -> Series:
    return {
        'sentryfuse_node_energy_joules_total{source="rapl"}': "0+150x80",
        "sentryfuse_power_cap_watts": cap,
    }


def _load(shed: str, answers: str) -> Series:
    return {
        'sentryfuse_shed_total{reason="busy"}': shed,
        'sentryfuse_stage_duration_seconds_count{stage="inference"}': answers,
    }


def _meter(quality: str) -> Series:
    return {f'sentryfuse_meter_info{{source="any",quality="{quality}"}}': "1x80"}


_READY, _QUEUE = "sentryfuse_ready", "sentryfuse_queue_depth"
_IN_TOUCH = "sentryfuse_site_in_touch"
_BREAKER, _FAILOVERS = "sentryfuse_redis_breaker_open", "sentryfuse_meter_failovers_total"

CASES = (
    Case("SentryFuseNotReady", "never ready", True, {_READY: "0x80"}),
    Case("SentryFuseNotReady", "ready", False, {_READY: "1x80"}),
    Case("SentryFuseNotReady", "a restart of two minutes", False, {_READY: "1x70 0x8 1x10"}),
    Case("SentryFuseBudgetsMissed", "a tenth", True, _budgets("latency", "0+9x80", "0+1x80")),
    Case("SentryFuseBudgetsMissed", "one of fifty", False, _budgets("power", "0+49x80", "0+1x80")),
    Case("SentryFuseBudgetsMissed", "nobody asks", False, _budgets("latency", "7x80", "7x80")),
    Case("SentryFuseAccuracyBelowFloor", "2 %", True, _budgets("accuracy", "0+49x80", "0+1x80")),
    Case("SentryFuseAccuracyBelowFloor", "1 ‰", False, _budgets("accuracy", "0+999x80", "0+1x80")),
    Case("SentryFuseAccuracyGivenUp", "ten points", True, _variants("0.8x80")),
    Case("SentryFuseAccuracyGivenUp", "two points", False, _variants("0.88x80")),
    Case("SentryFusePowerCapExceeded", "by a ninth", True, _ten_watts("9x80")),
    Case("SentryFusePowerCapExceeded", "by one percent", False, _ten_watts("9.9x80")),
    Case("SentryFuseEnergyModelled", "no meter", True, _meter("modelled")),
    Case("SentryFuseEnergyModelled", "a meter", False, _meter("measured")),
    Case("SentryFuseMeterLost", "seven minutes ago", True, {_FAILOVERS: "0x50 1x40"}),
    Case("SentryFuseMeterLost", "long ago", False, {_FAILOVERS: "1x80"}),
    Case("SentryFuseRedisBreakerOpen", "open", True, {_BREAKER: "0x40 1x60"}),
    Case(
        "SentryFuseRedisBreakerOpen",
        "it tries",
        True,
        {_BREAKER: " ".join(["1 0"] * 45)},
    ),
    Case("SentryFuseRedisBreakerOpen", "for a minute", False, {_BREAKER: "0x75 1x3 0x10"}),
    Case("SentryFuseSiteOutOfTouch", "Redis is gone", True, {_IN_TOUCH: "1x40 0x60"}),
    Case("SentryFuseSiteOutOfTouch", "in touch", False, {_IN_TOUCH: "1x80"}),
    Case("SentryFuseSiteOutOfTouch", "for a minute", False, {_IN_TOUCH: "1x75 0x3 1x10"}),
    Case("SentryFuseSiteOutOfTouch", "contention", False, {_IN_TOUCH: " ".join(["1 0"] * 45)}),
    Case("SentryFuseQueueGrowing", "two in each step", True, {_QUEUE: "0+2x80"}),
    Case("SentryFuseQueueGrowing", "long and steady", False, {_QUEUE: "50x80"}),
    Case("SentryFuseQueueGrowing", "bursts", False, {_QUEUE: " ".join(["0 40 0 60"] * 21)}),
    Case("SentryFuseShedding", "a fifth", True, _load("0+2x80", "0+8x80")),
    Case("SentryFuseShedding", "one percent", False, _load("0+1x80", "0+99x80")),
    Case("SentryFuseShedding", "everything", True, _load("0+5x80", "0x80")),
)


def promtool_test(cases: Iterable[Case], rule_files: Iterable[Path]) -> dict[str, Any]:
    """Write the situations as promtool wants them: which alerts go off, and no other."""
    return {
        "rule_files": [str(path) for path in rule_files],
        "evaluation_interval": _LOOK,
        "group_eval_order": ["sentryfuse", "sentryfuse-alerts"],
        "tests": [_test(case) for case in cases],
    }


def _test(case: Case) -> dict[str, Any]:
    gone_off = {"labels": f'{{alertname="{case.alert}"}}', "value": 1}
    return {
        "name": f"{case.alert}: {case.what}",
        "interval": _STEP,
        "input_series": [
            {"series": _of_one_node(series), "values": values}
            for series, values in case.series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": _AT,
                "exp_samples": [gone_off] if case.goes_off else [],
            }
        ],
    }


def _of_one_node(series: str) -> str:
    name, _, labels = series.partition("{")
    return f'{name}{{job="sentryfuse",instance="node-1:8080",{labels or "}"}'
