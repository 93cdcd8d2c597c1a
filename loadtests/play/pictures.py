"""Pictures of a played scenario, as SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sentryfuse.bench.plot_style import STYLE

_INK, _ACCENT, _FAINT, _LOSS = "#1f2933", "#0b7a75", "#adb5bd", "#d1495b"
_FATES = {"refused": "#e9c46a", "dropped": "#e76f51", "failed": "#9b2226"}
_LEAST_MS = 0.5


def draw(found: Mapping[str, Any]) -> str:
    """Draw what :func:`loadtests.play.series.describe` returns.

    Returns:
        An SVG image: distribution of latencies, variants over time, power under its cap, share
        in time, and where they say anything, sensors and models.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = [_latencies, _mix, _power, _share]
    sensors = [s for s in found["sensors"] if s is not None]
    if sensors and min(sensors) < max(sensors):
        panels.append(_sensors)
    if found["models"]:
        panels.append(_models)
    rows = (len(panels) + 1) // 2
    with plt.rc_context({**STYLE, "figure.dpi": 72}):
        figure, axes = plt.subplots(rows, 2, figsize=(11, 3.1 * rows), layout="constrained")
        for panel, place in zip(panels, axes.flat, strict=False):
            panel(place, found)
        for place in axes.flat[len(panels) :]:
            place.set_axis_off()
        image = io.StringIO()
        figure.savefig(image, format="svg", metadata={"Date": None})
        plt.close(figure)
    return image.getvalue()


def _latencies(axes: Any, found: Mapping[str, Any]) -> None:
    for name, label, colour, style in (
        ("client_latency", "answers, from when each was due", _ACCENT, "-"),
        ("server_latency", "answers, as the server counts", _INK, ":"),
        ("refusal_latency", "refusals, from when each was due", _LOSS, "--"),
    ):
        if found[name]:
            seconds, shares = zip(*found[name], strict=True)
            ms = [max(1e3 * s, _LEAST_MS) for s in seconds]
            axes.plot(ms, shares, style, color=colour, label=label)
    axes.axvline(1e3 * found["deadline_s"], color=_FAINT)
    axes.annotate(
        " budget", (1e3 * found["deadline_s"], 0.02), xycoords=("data", "axes fraction"), color=_INK
    )
    axes.set(title="Latency", xlabel="ms", ylabel="share of all requests sent", ylim=(0, 1.02))
    axes.set_xscale("log")
    axes.legend(loc="upper left", frameon=False)


def _mix(axes: Any, found: Mapping[str, Any]) -> None:
    from matplotlib import colormaps

    answered = [name for name in found["mix"] if name not in _FATES]
    colours = colormaps["viridis"]
    base = [0.0] * len(found["in_time"])
    for index, name in enumerate([*answered, *(f for f in _FATES if f in found["mix"])]):
        per_s = [count / found["bin_s"] for count in found["mix"][name]]
        colour = _FATES.get(name) or colours(0.1 + 0.8 * index / max(len(answered) - 1, 1))
        label = name if name in _FATES else rf"$\rho$ = {int(name) / 1000:g}"
        axes.bar(
            _starts(found, len(base)),
            per_s,
            width=found["bin_s"],
            bottom=base,
            align="edge",
            color=colour,
            label=label,
        )
        base = [below + more for below, more in zip(base, per_s, strict=True)]
    axes.set(title="What answered, by when it was due", xlabel="s", ylabel="requests/s")
    axes.legend(frameon=False, ncols=4, fontsize=7, loc="upper left")
    axes.set_ylim(top=1.25 * max(*base, 1e-9) if len(base) > 1 else None)


def _power(axes: Any, found: Mapping[str, Any]) -> None:
    power_w = found["power_w"]
    if power_w:
        axes.stairs(power_w, _edges(found, len(power_w)), color=_ACCENT, label="node, mean")
    steps = [*found["caps"], (found["duration_s"], None)]
    for (from_s, cap_w), (to_s, _) in pairwise(steps):
        if cap_w is not None and to_s > from_s:
            axes.hlines(cap_w, from_s, to_s, color=_INK)
    axes.axhline(found["idle_w"], color=_FAINT, linestyle=":")
    axes.annotate("idle", (0, found["idle_w"]), color=_INK, va="bottom")
    axes.set(title="Power (cap in black)", xlabel="s", ylabel="W")
    axes.set_ylim(bottom=0.9 * found["idle_w"])


def _share(axes: Any, found: Mapping[str, Any]) -> None:
    _series(axes, found, found["in_time"])
    axes.set(title="In time, of all that was due", xlabel="s", ylabel="share", ylim=(0, 1.05))


def _sensors(axes: Any, found: Mapping[str, Any]) -> None:
    _series(axes, found, found["sensors"])
    axes.set(title="Sensors in each request", xlabel="s", ylabel="mean")
    axes.set_ylim(bottom=0)


def _models(axes: Any, found: Mapping[str, Any]) -> None:
    names = list(found["models"])
    axes.bar(names, [found["models"][n]["in_time"] for n in names], color=_ACCENT)
    for index, name in enumerate(names):
        axes.annotate(
            str(found["models"][name]["sent"]), (index, 0.02), ha="center", color="white", size=7
        )
    axes.tick_params(axis="x", rotation=60, labelsize=7)
    axes.set(title="In time by model (requests in white)", ylabel="share", ylim=(0, 1.05))


def _series(axes: Any, found: Mapping[str, Any], values: Sequence[float | None]) -> None:
    shown = [float("nan") if v is None else v for v in values]
    axes.stairs(shown, _edges(found, len(shown)), color=_ACCENT, baseline=None)


def _edges(found: Mapping[str, Any], count: int) -> list[float]:
    return [i * found["bin_s"] for i in range(count + 1)]


def _starts(found: Mapping[str, Any], count: int) -> list[float]:
    return _edges(found, count)[:-1]
