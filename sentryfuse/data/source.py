"""What is known of a public data set before it is fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.data.windows import WindowSet

# Told how much is done and how much there is, in bytes or files; the total is 0 if unknown.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A public data set: where its archive is, what it should be, and how to read it."""

    name: str
    title: str
    application: str
    home: str
    url: str
    archive_name: str
    """File name to keep the archive under."""
    size_bytes: int
    sha256: str
    licence: str
    citation: str
    convert: Callable[[Path, Progress], WindowSet]
    """Reads the archive; raises DataError naming the file and line that is wrong."""
