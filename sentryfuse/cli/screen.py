"""What a person sees: tables on standard output, notes and progress on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

_PLAIN_WIDTH = 200
_PLAIN_INTERVAL_S = 5.0


class Report(Protocol):
    """Told how far a phase of a job is."""

    def __call__(self, what: str, done: int, total: int, message: str = "") -> None:
        """Show it.

        Args:
            what: Name of the phase.
            done: How much is done.
            total: How much there is; 0 if unknown.
            message: What else is worth saying.
        """


class Screen:
    """Output of one command.

    Args:
        quiet: Drop notes and progress.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line of the result."""
        print(text)

    def json(self, data: Any) -> None:
        """Print the result as JSON."""
        print(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))

    def facts(self, pairs: Mapping[str, object]) -> None:
        """Print names and values in two columns; values that are empty are left out."""
        shown = {name: str(value) for name, value in pairs.items() if str(value)}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            print(f"{name:<{width}}  {value}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table; columns whose cells are all numbers are aligned to the right."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(table.columns):
            column.overflow = "fold"
            if all(_is_number(row[index]) for row in rows):
                column.justify = "right"
                column.no_wrap = True
        for row in rows:
            table.add_row(*row)
        width = None if sys.stdout.isatty() else _PLAIN_WIDTH
        Console(markup=False, highlight=False, emoji=False, width=width).print(table)

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Show how far a job is: bars on a terminal, now and then a line elsewhere."""
        if self._quiet:
            yield _silence
        elif sys.stderr.isatty():
            with _bars() as report:
                yield report
        else:
            yield _Lines()


def _silence(what: str, done: int, total: int, message: str = "") -> None:
    pass


@contextmanager
def _bars() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[message]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True, markup=False)) as bars:

        def report(what: str, done: int, total: int, message: str = "") -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None, message="")
            bars.update(tasks[what], completed=done, total=total or None, message=message)

        yield report


class _Lines:
    """Progress for a log: each phase's end, and a line every few seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, what: str, done: int, total: int, message: str = "") -> None:
        now = time.monotonic()
        if now - self._last < _PLAIN_INTERVAL_S and done != total:
            return
        self._last = now
        so_far = f"{done} of {total}" if total else str(done)
        print(f"{what}: {so_far} {message}".rstrip(), file=sys.stderr, flush=True)


def _is_number(text: str) -> bool:
    return text in ("", "-") or text.replace(".", "", 1).replace(",", "").isdecimal()
