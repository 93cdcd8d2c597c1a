"""Prometheus' text format turned into OpenMetrics, which has room for exemplars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.telemetry.exemplars import Exemplar
from app.telemetry.families import Family

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_MEDIA_TYPE = "application/openmetrics-text"
_HELP, _TYPE = "# HELP ", "# TYPE "


def is_wanted(accept: str) -> bool:
    """Whether a client that sends this ``Accept`` header reads OpenMetrics."""
    for offer in accept.split(","):
        name, *parameters = (part.strip().lower() for part in offer.split(";"))
        if name == _MEDIA_TYPE:
            return "q=0" not in parameters
    return False


def openmetrics(text: bytes, families: Iterable[Family] = ()) -> bytes:
    """Turn Prometheus' text format into OpenMetrics.

    When series began, which the text format writes as metrics of their own, is left out.

    Args:
        text: Every metric, each with its help and its type.
        families: Those that have exemplars.
    """
    traced = {family.name: family.exemplars for family in families if family.exemplars}
    metrics = text.decode().removeprefix(_HELP).split(f"\n{_HELP}")
    written = [_metric(metric.rstrip("\n"), traced) for metric in metrics if metric]
    return ("".join(written) + "# EOF\n").encode()


def _metric(metric: str, traced: Mapping[str, Mapping[str, Exemplar]]) -> str:
    told, typed, *rest = metric.split("\n", 2)
    name, _, told = told.partition(" ")
    kind = typed.rpartition(" ")[2]
    if name.endswith("_created"):
        return ""
    series = rest[0] if rest else ""
    if name in traced:
        series = "\n".join(_with_exemplar(line, traced[name]) for line in series.split("\n"))
    if kind == "counter":
        name = name.removesuffix("_total")
    told = told.replace('"', r"\"")
    return f"{_HELP}{name} {told}\n{_TYPE}{name} {kind}\n" + (f"{series}\n" if series else "")


def _with_exemplar(line: str, exemplars: Mapping[str, Exemplar]) -> str:
    found = exemplars.get(line.rpartition(" ")[0])
    if found is None:
        return line
    return f'{line} # {{trace_id="{found.trace_id}"}} {found.value!r} {found.at_s:.3f}'
