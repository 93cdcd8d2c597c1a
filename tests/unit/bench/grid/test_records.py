from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import measurements, trainings
from sentryfuse.bench.grid.page import page
from sentryfuse.bench.grid.records import complete_parts, read_record, read_records, write_record
from sentryfuse.errors import DataError

GRID = GridConfig(
    name="small",
    data=("rig", "watch"),
    backbones=("maestro",),
    seeds=(0, 1),
    ratios=(0.5,),
    missing=(0,),
    methods=("random", "magnitude"),
    strongest_of=("random", "magnitude"),
    random_draws=2,
)


def measured(data: tuple[str, ...], seeds: tuple[int, ...], ours: float) -> list[dict[str, Any]]:
    """All measurements of these parts of the grid: ours is as good as told, others reach 0.5."""
    part = GRID.part(data, seeds)
    return [
        {
            "data": model.data,
            "backbone": model.backbone,
            "school": model.school,
            "seed": model.seed,
            "size_ratio": model.permille / 1000,
            "method": job.method,
            "draw": job.draw,
            "rows": [
                {
                    "presence": "1",
                    "missing": 0,
                    "ratio": 0.0 if job.method == "unpruned" else 0.5,
                    "accuracy": ours if job.method == "sentrygate" else 0.5,
                    "f1": 0.3,
                }
            ],
        }
        for model in trainings(part)
        for job in measurements(part, model)
    ]


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    (record, *_) = measured(("rig",), (0,), 0.6)

    write_record(record, tmp_path / "some" / "record.json")

    assert read_records(tmp_path / "some") == [record]


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"rows": [')

    with pytest.raises(DataError, match=r"torn\.json"):
        read_record(tmp_path / "torn.json")


def test_a_part_is_complete_when_every_method_of_a_seed_is_there() -> None:
    records = measured(("rig",), (0, 1), 0.6) + measured(("watch",), (0,), 0.6)

    assert [part.name for part in complete_parts(GRID, records)] == ["rig", "watch_1_seed"]
    assert [part.name for part in complete_parts(GRID, records[1:])] == [
        *("rig_1_seed", "watch_1_seed"),
    ]


def test_the_whole_grid_is_a_part_without_a_name() -> None:
    parts = complete_parts(GRID, measured(("rig", "watch"), (0, 1), 0.6))

    assert [part.name for part in parts] == ["", "rig", "watch"]


def test_a_grid_beside_another_puts_its_prefix_before_its_figures() -> None:
    beside = replace(GRID, prefix="more")
    alone = beside.part(("rig",), beside.seeds)
    records = measured(("rig", "watch"), (0, 1), 0.6)

    def names(config: GridConfig, known: list[dict[str, Any]]) -> list[str]:
        return [part.name for part in complete_parts(config, known)]

    assert names(beside, records) == ["more", "rig", "watch"]
    assert names(alone, measured(("rig",), (0, 1), 0.6)) == ["more"]
    assert names(alone, measured(("rig",), (1,), 0.6)) == ["more_1_seed"]


def test_a_page_of_an_unfinished_grid_says_how_much_of_it_is_there() -> None:
    text = "\n".join(page(GRID, measured(("rig",), (0,), 0.6)))

    assert "1 of its 2 cells" in text
    assert "| rig | 1, 1 seed |" in text
    assert "| watch | none |" in text
    assert "0.600 : 0.500, +20.0 %" in text
    assert "| rig | maestro | 0.500 / 0.300 | 0.500 / 0.300 |" in text
    assert "mean gain of 12.7 % is reached" in text


def test_a_page_says_plainly_that_a_claim_does_not_hold() -> None:
    text = "\n".join(page(GRID, measured(("rig",), (0,), 0.4)))

    assert "claim does not hold" in text
    assert "Cells lost or drawn: 1 of 1" in text
