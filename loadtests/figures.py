"""Pictures of a cap run, drawn from its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.settling import BAND, mean_power_w
from loadtests.watch import PowerSample

_INK, _ACCENT, _FAINT = "#1f2933", "#0b7285", "#adb5bd"


def draw_cap(record: Path, picture: Path) -> Path:
    """Draw power against its cap, and what the requests got meanwhile.

    Args:
        record: JSON of the ``cap`` scenario.
        picture: Where to write; its ending says how (.svg, .png).

    Returns:
        The picture's path.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    data = json.loads(record.read_text(encoding="utf-8"))
    trial, settings = data["trial"], data["settings"]
    samples = [PowerSample(*row) for row in trial["power"]]
    seconds = range(int(min(trial["duration_s"], samples[-1].at_s)))
    power_w = [mean_power_w(samples, s, s + 1) for s in seconds]

    with plt.rc_context({"svg.hashsalt": "sentryfuse", "font.size": 9, "svg.fonttype": "none"}):
        figure, (top, middle, bottom) = plt.subplots(
            3, 1, sharex=True, figsize=(8, 5.6), height_ratios=(3, 1, 1), layout="constrained"
        )
        _power(top, seconds, power_w, trial["caps"], trial["duration_s"], settings)
        _series(middle, trial, "accuracy", "expected\naccuracy")
        sent = np.maximum(trial["by_second"]["sent"], 1)
        trial["by_second"]["share"] = (np.array(trial["by_second"]["in_time"]) / sent).tolist()
        _series(bottom, trial, "share", "answered\nin time")
        bottom.set_ylim(0, 1.05)
        bottom.set_xlabel("seconds")
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
        plt.close(figure)
    return picture


def _power(
    axes: Any,
    seconds: range,
    power_w: list[float],
    caps: list[tuple[float, float | None]],
    end_s: float,
    settings: dict[str, Any],
) -> None:
    axes.step([*seconds, len(seconds)], [*power_w, power_w[-1]], where="post", color=_ACCENT)
    ends = [at_s for at_s, _ in caps[1:]] + [end_s]
    for (from_s, cap_w), to_s in zip(caps, ends, strict=True):
        if cap_w is not None and to_s > from_s:
            axes.hlines(cap_w, from_s, to_s, color=_INK, linewidth=1.5)
            axes.fill_between([from_s, to_s], cap_w, (1 + BAND) * cap_w, color=_FAINT, alpha=0.4)
    idle_w = settings["idle_power_w"]
    axes.axhline(idle_w, color=_FAINT, linestyle=":")
    axes.annotate("idle", (end_s, idle_w), color=_INK, ha="right", va="bottom")
    axes.set_ylabel("node power, W")
    axes.set_ylim(bottom=0.9 * idle_w)
    axes.set_title(
        f"Mean power of each second (blue) under a stepped cap (black, + 5 % grey) at "
        f"{settings['rate_hz']:.0f} requests/s",
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)


def _series(axes: Any, trial: dict[str, Any], name: str, label: str) -> None:
    values = trial["by_second"][name]
    axes.step(range(len(values) + 1), [*values, values[-1]], where="post", color=_ACCENT)
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)
