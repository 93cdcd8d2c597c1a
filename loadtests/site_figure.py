"""The picture of a site run, drawn from its record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_COLOURS = ("#0b7285", "#66d9e8", "#adb5bd")
_INK = "#1f2933"


def draw_site(record: Path, picture: Path) -> Path:
    """Draw each node's power on top of the others', the site's cap, and what befell whom.

    Args:
        record: JSON of the ``site`` scenario.
        picture: Where to write; its ending says how (.svg, .png).

    Returns:
        The picture's path.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    data = json.loads(record.read_text(encoding="utf-8"))
    cap_w, grid_s = data["settings"]["cap_w"], data["grid_s"]
    each = round(1 / grid_s)
    power_w = np.array([np.convolve(p, np.full(each, 1 / each), "valid") for p in data["power_w"]])
    at_s = grid_s * np.arange(power_w.shape[1])
    means_w = data["window_means_w"]
    with plt.rc_context({"svg.hashsalt": "sentryfuse", "font.size": 9, "svg.fonttype": "none"}):
        figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
        axes.stackplot(at_s[::2], power_w[:, ::2], colors=_COLOURS, linewidth=0)
        window_s = data["settings"]["window_s"]
        axes.plot(window_s / 2 + grid_s * np.arange(len(means_w)), means_w, color=_INK, lw=1)
        axes.axhline(cap_w, color=_INK, linewidth=1.5, linestyle="--")
        top_w = 1.18 * cap_w
        for event_s, what in data["events"]:
            if "killed" in what or "paused" in what:
                axes.axvline(event_s, color=_INK, linewidth=0.5, linestyle=":")
                axes.annotate(
                    what.replace(" killed", " †"), (event_s, top_w), rotation=90, va="top", size=7
                )
        axes.set_ylim(0, top_w)
        axes.set_xlabel("seconds")
        axes.set_ylabel("power, W")
        axes.set_title(
            "Power of three nodes (colours, means of a second), of all over five seconds (line), "
            "cap (dashes)",
            loc="left",
        )
        axes.spines[["top", "right"]].set_visible(False)
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)
        plt.close(figure)
    return picture
