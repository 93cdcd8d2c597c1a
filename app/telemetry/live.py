"""What a live page shows: the few totals of the metrics that people look at.

Everything that can be counted is: rates, shares and quantiles are left to who looks, so that it
does not matter how many look, how often, or which process answers them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from app.telemetry.families import Families

Labels = Mapping[str, str]

_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_ANSWERED = frozenset({"200", "OK"})  # over HTTP, over gRPC
_ROUTES = ("/infer", "grpc:ModelInfer")
_DURATION = "sentryfuse_request_duration_seconds"


def totals(families: Families) -> dict[str, Any]:
    """Pick what a live page shows; counters since the start, gauges as they are."""
    return {
        "started_s": _value(families, "process_start_time_seconds"),
        "memory_bytes": _value(families, "process_resident_memory_bytes"),
        "queue_depth": _value(families, "sentryfuse_queue_depth"),
        "streams_open": _value(families, "sentryfuse_streams_open"),
        "redis_breaker_open": _breaker_open(families),
        "power": _power(families),
        "requests": _requests(families),
        "latency": _latency(families),
        "budgets": _nested(families, "sentryfuse_budget_total", "kind", "outcome"),
        "shed": _by(families, "sentryfuse_shed_total", "reason"),
        "mask_cache": _nested(families, "sentryfuse_mask_cache_total", "tier", "outcome"),
        "slowdown": _by(families, "sentryfuse_slowdown_ratio", "of"),
        "variants": _variants(families),
    }


def samples(families: Families, family: str, name: str = "") -> Iterator[tuple[Labels, float]]:
    """Read the series of a family; of those, the ones of a name of their own, such as a bucket."""
    if family not in families:
        return
    wanted = name or family
    for series, value in families[family].series.items():
        found, _, inner = series.partition("{")
        if found == wanted:
            labels = {k: _ESCAPED.sub(_unescape, v) for k, v in _LABEL.findall(inner)}
            yield labels, value


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _value(families: Families, family: str) -> float | None:
    return next((value for _, value in samples(families, family)), None)


def _by(families: Families, family: str, label: str) -> dict[str, float]:
    counted: dict[str, float] = defaultdict(float)
    for labels, value in samples(families, family):
        counted[labels[label]] += value
    return dict(counted)


def _nested(families: Families, family: str, outer: str, inner: str) -> dict[str, dict[str, float]]:
    counted: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for labels, value in samples(families, family):
        counted[labels[outer]][labels[inner]] += value
    return {key: dict(values) for key, values in counted.items()}


def _breaker_open(families: Families) -> bool | None:
    value = _value(families, "sentryfuse_redis_breaker_open")
    return None if value is None else value > 0


def _power(families: Families) -> dict[str, Any]:
    meters = [labels for labels, _ in samples(families, "sentryfuse_meter_info")]
    by_use = _by(families, "sentryfuse_energy_joules_total", "use")
    return {
        "now_w": sum(watts for _, watts in samples(families, "sentryfuse_node_power_watts")),
        "cap_w": _value(families, "sentryfuse_power_cap_watts"),
        "source": meters[0]["source"] if meters else "",
        "quality": meters[0]["quality"] if meters else "modelled",
        "energy_j": by_use,
        "faults": _by(families, "sentryfuse_meter_faults_total", "fault"),
        "failovers": _value(families, "sentryfuse_meter_failovers_total") or 0.0,
    }


def _requests(families: Families) -> dict[str, float]:
    counted = {"answered": 0.0, "refused": 0.0}
    for labels, value in samples(families, _DURATION, f"{_DURATION}_count"):
        if labels["route"].endswith(_ROUTES):
            counted["answered" if labels["code"] in _ANSWERED else "refused"] += value
    return counted


def _latency(families: Families) -> dict[str, list[float]]:
    """Count answered requests by how long they took: each bound's own, then those above all."""
    up_to: dict[float, float] = defaultdict(float)
    for labels, value in samples(families, _DURATION, f"{_DURATION}_bucket"):
        if labels["route"].endswith(_ROUTES) and labels["code"] in _ANSWERED:
            up_to[float(labels["le"])] += value
    bounds = sorted(up_to)
    cumulative = [up_to[bound] for bound in bounds]
    return {
        "bounds_s": bounds[:-1],
        "counts": [b - a for a, b in zip([0.0, *cumulative], cumulative, strict=False)],
    }


def _variants(families: Families) -> dict[str, Any]:
    """Variants in memory: how many, and those that have answered something."""
    energy_j = {
        _variant(labels): value
        for labels, value in samples(families, "sentryfuse_variant_energy_joules_total")
    }
    names = {
        (labels["model"], labels["version"], labels["presence"]): labels["modalities"].split(",")
        for labels, _ in samples(families, "sentryfuse_presence_info")
    }
    windows = [
        (_variant(labels), value)
        for labels, value in samples(families, "sentryfuse_variant_inferences_total")
    ]
    return {
        "in_memory": len(windows),
        "used": [
            {
                "model": key[0],
                "version": key[1],
                "presence": names.get(key[:3], []),
                "presence_hex": key[2],
                "ratio": float(key[3]),
                "windows": value,
                "energy_j": energy_j.get(key, 0.0),
            }
            for key, value in windows
            if value
        ],
    }


def _variant(labels: Labels) -> tuple[str, str, str, str]:
    return labels["model"], labels["version"], labels["presence"], labels["ratio"]
