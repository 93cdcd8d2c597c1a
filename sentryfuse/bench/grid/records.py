"""Measurements as files: one line of JSON each, rows as columns named once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import Measurement, Training, measurements, trainings
from sentryfuse.errors import DataError
from sentryfuse.pruning import permille

Measured = Mapping[str, Any]


def write_record(record: Measured, path: Path) -> None:
    """Write a measurement; it appears whole or not at all."""
    rows = record["rows"]
    columns = list(rows[0])
    packed = {**record, "columns": columns, "rows": [[row[c] for c in columns] for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(packed, separators=(",", ":")) + "\n", encoding="utf-8")
    partial.replace(path)


def read_record(path: Path) -> dict[str, Any]:
    """Read a measurement.

    Raises:
        DataError: It cannot be read.
    """
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        columns = record.pop("columns")
        record["rows"] = [dict(zip(columns, row, strict=True)) for row in record["rows"]]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a record: {error}") from error
    return record


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Read every measurement of a grid.

    Raises:
        DataError: A record cannot be read.
    """
    return [read_record(path) for path in sorted(folder.glob("*.json"))]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a grid of which everything was measured.

    Args:
        name: What the part is called in the names of figures; of the whole grid its prefix, which
            is mostly empty.
        config: Its data sets and seeds, and all else of the grid.
        records: Its measurements and no others.
    """

    name: str
    config: GridConfig
    records: tuple[Measured, ...]


def complete_parts(config: GridConfig, records: Iterable[Measured]) -> list[Part]:
    """Return the whole grid if it is complete, and each data set with its complete seeds.

    A grid of one data set that has a prefix is that data set, under its prefix.

    A data set of which only some seeds are complete says so in its name: ``hydraulic_1_seed``.
    """
    known = list(records)
    done = {_job(record) for record in known}
    seeds = {
        data: tuple(seed for seed in config.seeds if _jobs(config, data, seed) <= done)
        for data in config.data
    }
    parts = []
    if all(found == config.seeds for found in seeds.values()):
        parts.append(_part(config.prefix, config, config.data, config.seeds, known))
    alone = config.prefix and len(config.data) == 1
    for data, found in seeds.items():
        if found and not (alone and parts):  # which would be the same again
            plural = "s" if len(found) > 1 else ""
            some = "" if found == config.seeds else f"_{len(found)}_seed{plural}"
            name = config.prefix if alone else data
            parts.append(_part(f"{name}{some}", config, (data,), found, known))
    return parts


def _jobs(config: GridConfig, data: str, seed: int) -> set[Measurement]:
    part = config.part((data,), (seed,))
    return {job for model in trainings(part) for job in measurements(part, model)}


def _job(record: Measured) -> Measurement:
    training = Training(
        record["data"],
        record["backbone"],
        record["school"],
        record["seed"],
        permille(record["size_ratio"]),
    )
    return Measurement(training, record["method"], record["draw"])


def _part(
    name: str,
    config: GridConfig,
    data: tuple[str, ...],
    seeds: tuple[int, ...],
    records: Iterable[Measured],
) -> Part:
    inside = (r for r in records if r["data"] in data and r["seed"] in seeds)
    return Part(name, config.part(data, seeds), tuple(inside))
