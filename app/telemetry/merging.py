"""The metrics of several processes as those of one service: counters add up, gauges by rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from app.telemetry.families import Families, Family

Rule = Literal["sum", "max", "min"]

RULES: dict[str, Rule] = {
    # Each process has its own part of it.
    "sentryfuse_node_power_watts": "sum",
    "sentryfuse_power_tokens_joules": "sum",
    "sentryfuse_queue_depth": "sum",
    "sentryfuse_variant_memory_bytes": "sum",
    "process_virtual_memory_bytes": "sum",
    "process_resident_memory_bytes": "sum",
    "process_open_fds": "sum",
    # All say the same, or the worst counts.
    "sentryfuse_meter_info": "max",
    "sentryfuse_model_info": "max",
    "sentryfuse_power_cap_watts": "max",
    "sentryfuse_presence_info": "max",
    "sentryfuse_redis_breaker_open": "max",
    "sentryfuse_site_cap_watts": "max",
    "sentryfuse_site_demand_watts": "max",
    "sentryfuse_site_in_touch": "max",
    "sentryfuse_site_lent_watts": "max",
    "sentryfuse_site_nodes": "max",
    "sentryfuse_site_pool_watts": "max",
    "sentryfuse_site_share_watts": "max",
    "sentryfuse_slowdown_ratio": "max",
    "sentryfuse_variant_expected_accuracy_ratio": "max",
    "sentryfuse_variant_flops": "max",
    "sentryfuse_variant_parameters": "max",
    "process_max_fds": "max",
    "sentryfuse_ready": "min",
    "process_start_time_seconds": "min",
}
"""How gauges of processes become one; a test asks that every gauge is here."""

_CREATED = "_created"
_MERGE: dict[Rule, Callable[[float, float], float]] = {
    "sum": lambda a, b: a + b,
    "max": max,
    "min": min,
}


def rule_of(family: Family) -> Rule:
    """How values of one series in several processes become one."""
    if family.name.endswith(_CREATED):
        return "min"
    return RULES.get(family.name, "max") if family.kind in ("gauge", "info") else "sum"


def is_counted(family: Family) -> bool:
    """Whether a family outlives its process: what it counted has happened."""
    return family.kind in ("counter", "histogram", "summary")


def merged(processes: Iterable[Families]) -> Families:
    """Make one set of families of those of several processes."""
    total: Families = {}
    for families in processes:
        for name, family in families.items():
            held = total.setdefault(name, Family(name, family.kind, family.text))
            combine = _MERGE[rule_of(family)]
            for series, value in family.series.items():
                before = held.series.get(series)
                held.series[series] = value if before is None else combine(before, value)
            for series, exemplar in family.exemplars.items():
                other = held.exemplars.get(series, exemplar)
                held.exemplars[series] = max(exemplar, other, key=lambda seen: seen.at_s)
    return dict(sorted(total.items()))


class Ratchet:
    """Keeps what a process counts from going backwards when it forgets a series.

    A variant that leaves memory takes its counters along, and begins anew should it return. In a
    sum over processes that would look as if something had not happened.
    """

    def __init__(self) -> None:
        self._before: Families = {}
        self._lost: Families = {}

    def __call__(self, families: Families) -> Families:
        """Add what was lost before to what is counted now."""
        for name, before in self._before.items():
            now = families[name].series if name in families else {}
            for series, value in before.series.items():
                if now.get(series, 0.0) < value:
                    lost = self._lost.setdefault(name, Family(name, before.kind, before.text))
                    lost.series[series] = lost.series.get(series, 0.0) + value
        self._before = {name: family for name, family in families.items() if is_counted(family)}
        return merged([families, self._lost]) if self._lost else families
