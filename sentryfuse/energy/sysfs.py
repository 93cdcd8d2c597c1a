"""Reading the small files of /sys, any of which may be missing, locked, empty or nonsense."""

from __future__ import annotations

import math
import stat
from pathlib import Path

SYSFS = Path("/sys")


def read_text(path: Path) -> str | None:
    """Return a file's text without surrounding blanks; None if it can't be read.

    Drivers answer a read with all kinds of errors (ENODATA, EIO, EAGAIN, ...): each means that
    there is no value now.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def read_number(path: Path) -> float | None:
    """Return the number in a file; None if there is none."""
    text = read_text(path)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def why_unreadable(path: Path) -> str | None:
    """Say why no number can be read from a file; None if one can."""
    try:
        path.read_bytes()
    except PermissionError:
        return f"permission denied: {path}{_mode(path)}"
    except OSError as error:
        return f"{error.strerror or error}: {path}"
    return None if read_number(path) is not None else f"holds no number: {path}"


def listing(folder: Path, pattern: str) -> list[Path]:
    """Return the entries that match, ``x2`` before ``x10``; none if the folder can't be read."""
    try:
        found = list(folder.glob(pattern))
    except OSError:
        return []
    return sorted(found, key=lambda path: [_natural(part) for part in path.parts])


def _natural(name: str) -> list[tuple[int, str]]:
    digits = "".join(c if c.isdecimal() else " " for c in name).split()
    return [(int(number), "") for number in digits] + [(0, name)]


def _mode(path: Path) -> str:
    try:
        return f" (mode {stat.S_IMODE(path.stat().st_mode):04o})"
    except OSError:
        return ""
