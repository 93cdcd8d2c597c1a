"""Recordings in CSV files: columns read by name, with errors that name file, row and column."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from sentryfuse.errors import DataError

TIME_UNITS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DELIMITERS = ",;\t"
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none"})
_REPORT_EVERY = 20_000
_FAR_S = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which column is what, the same in every file.

    A file need not have every column: labels may stand in one file, a sensor in another.
    """

    time: str
    label: str
    group: str
    recording: str | None = None
    """What tells several recordings of one group apart; each has a clock of its own."""
    time_unit: str = "s"
    """Unit of times that are plain numbers; ISO 8601 is understood as well."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that hold no sensor values."""
        return tuple(n for n in (self.time, self.label, self.group, self.recording) if n)


@dataclass(frozen=True, slots=True)
class Table:
    """One file: what it says of every row."""

    path: Path
    row: NDArray[np.int64]
    """Its number, as an editor counts it."""
    time_s: NDArray[np.float64]
    recording: NDArray[np.str_]
    """Group and recording of each row, as one text."""
    group_of: Mapping[str, str]
    """The group of each recording."""
    label: NDArray[np.str_] | None
    """Empty where a row has none; None if the file has no such column."""
    values: Mapping[str, NDArray[np.float32]]
    """Columns of sensor values; NaN where nothing was measured."""


def header(path: Path) -> tuple[str, ...]:
    """Return the names of the columns.

    Raises:
        DataError: There is no such file, or no header.
    """
    with _opened(path) as file:
        return _columns(path, file)[0]


def read_table(
    path: Path,
    roles: Roles,
    wanted: Sequence[str],
    progress: Callable[[int], None] = lambda rows: None,
) -> Table:
    """Read those of the wanted columns that the file has, and its roles.

    Args:
        path: File with a header; separated by commas, semicolons or tabs; UTF-8.
        roles: Columns of time, label, group and recording.
        wanted: Columns of sensor values.
        progress: Told now and then how many rows are read.

    Raises:
        DataError: A column is missing or a cell makes no sense; the message names the file, the
            row as an editor counts it, the column, and what stands there.
    """
    with _opened(path) as file:
        names, rows = _columns(path, file)
        for needed in (roles.time, roles.group, *([roles.recording] if roles.recording else [])):
            if needed not in names:
                raise DataError(f"{path}: has no column {needed!r}; it has {', '.join(names)}")
        return _read(path, names, rows, roles, [n for n in wanted if n in names], progress)


def _opened(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error


def _columns(path: Path, file: TextIO) -> tuple[tuple[str, ...], Iterator[list[str]]]:
    """Names of the columns, and the rows that follow."""
    try:
        first = file.readline()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error}") from error
    delimiter = max(_DELIMITERS, key=first.count)
    names = tuple(name.strip() for name in next(csv.reader([first], delimiter=delimiter), []))
    if len(names) < 2:
        raise DataError(f"{path}: row 1 must name the columns, got {first.strip()!r:.80}")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise DataError(f"{path}: row 1 names column {min(twice)!r} twice")
    return names, csv.reader(file, delimiter=delimiter)


def _read(
    path: Path,
    names: tuple[str, ...],
    rows: Iterator[list[str]],
    roles: Roles,
    wanted: Sequence[str],
    progress: Callable[[int], None],
) -> Table:
    at = {name: index for index, name in enumerate(names)}
    columns = [(name, at[name]) for name in wanted]
    unit_s = TIME_UNITS[roles.time_unit]
    numbers: list[int] = []
    time_s: list[float] = []
    recording: list[str] = []
    label: list[str] | None = [] if roles.label in at else None
    values: list[list[float]] = [[] for _ in columns]
    group_of: dict[str, str] = {}
    number = 1
    try:
        for number, row in enumerate(rows, 2):
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(names):
                raise DataError(
                    f"{path}, row {number}: has {len(row)} cells, row 1 names {len(names)} columns"
                )
            where = f"{path}, row {number}"
            group = _named(row[at[roles.group]], roles.group, where)
            part = roles.recording
            name = group if part is None else f"{group}/{_named(row[at[part]], part, where)}"
            group_of[name] = group
            numbers.append(number)
            recording.append(name)
            time_s.append(_time(row[at[roles.time]], unit_s, f"{where}, column {roles.time!r}"))
            if label is not None:
                label.append(row[at[roles.label]].strip())
            for (column, index), found in zip(columns, values, strict=True):
                found.append(_value(row[index], where, column))
            if number % _REPORT_EVERY == 0:
                progress(number)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, after row {number}: is not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}, row {number + 1}: {error}") from error
    if not time_s:
        raise DataError(f"{path}: has a header and no rows")
    progress(number)
    return Table(
        path=path,
        row=np.array(numbers),
        time_s=np.array(time_s),
        recording=np.array(recording),
        group_of=group_of,
        label=None if label is None else np.array(label),
        values={
            name: np.array(found, dtype=np.float32)
            for (name, _), found in zip(columns, values, strict=True)
        },
    )


def _named(cell: str, column: str, where: str) -> str:
    name = cell.strip()
    if not name:
        raise DataError(f"{where}, column {column!r}: is empty; every row needs one")
    return name


def _value(cell: str, where: str, column: str) -> float:
    """A number; NaN for a cell that says that nothing was measured."""
    try:
        value = float(cell)
    except ValueError:
        if cell.strip().lower() in _MISSING:
            return float("nan")
        raise DataError(f"{where}, column {column!r}: {cell.strip()!r:.40} is no number") from None
    if value in (float("inf"), float("-inf")):
        raise DataError(f"{where}, column {column!r}: {cell.strip()!r:.40} is not finite")
    return value


def _time(cell: str, unit_s: float, where: str) -> float:
    """Seconds since whatever the clock counts from."""
    try:
        time_s = float(cell) * unit_s
    except ValueError:
        try:
            time_s = datetime.fromisoformat(cell.strip()).timestamp()
        except (ValueError, OverflowError, OSError):
            raise DataError(
                f"{where}: {cell.strip()!r:.40} is neither a number nor a time such as "
                "2026-03-01T12:00:00.25"
            ) from None
    if not abs(time_s) < _FAR_S:  # false for NaN as well
        raise DataError(f"{where}: {cell.strip()!r:.40} is no time")
    return time_s
