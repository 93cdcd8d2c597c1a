"""Small made-up archives of the layout of the official DSADS download."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from sentryfuse.data.dsads import Layout

SMALL = Layout(activities=3, subjects=2, segments=2)


def segment_text(subject: int, activity: int, segment: int, *, lines: int = 125) -> str:
    """125 lines of 45 numbers; unit u of line t holds ``subject.activity`` + u + t / 1000."""
    first = 100 * subject + 10 * activity + segment
    return "".join(
        ",".join(f"{first + unit + t / 1000:.5g}" for unit in range(5) for _ in range(9)) + "\n"
        for t in range(lines)
    )


def write_archive(
    path: Path,
    layout: Layout = SMALL,
    *,
    prefix: str = "data/",
    change: Callable[[str, str], str | None] = lambda name, text: text,
    extra: dict[str, str] | None = None,
) -> Path:
    """Write an archive; ``change`` may alter a file's text, or drop it by returning None."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("data/", "")
        for subject, activity, segment in reversed(layout.ids()):
            name = f"{prefix}a{activity:02d}/p{subject}/s{segment:02d}.txt"
            text = change(name, segment_text(subject, activity, segment))
            if text is not None:
                archive.writestr(name, text)
        for name, text in (extra or {}).items():
            archive.writestr(name, text)
    return path


def first_values(layout: Layout = SMALL) -> np.ndarray:
    """First sample of the first unit of each window, in the order of the windows."""
    return np.array([100 * s + 10 * a + g for s, a, g in layout.ids()], dtype=np.float64)
