"""Growth, shortly, on the real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.growth.command import main


@pytest.mark.benchmark
@pytest.mark.timeout(240)
def test_every_curve_has_its_points_its_record_and_its_picture(tmp_path: Path) -> None:
    short = ["--seconds", "0.3", "--out", str(tmp_path), "--pictures", str(tmp_path)]
    main(["modalities", "--sizes", "2", "3", *short])
    main(["connections", "--sizes", "1", "40", *short])
    main(["models", "--sizes", "2", *short])
    record = json.loads((tmp_path / "records" / "growth-modalities.json").read_text("utf-8"))
    assert [p["size"] for p in record["points"]] == [2, 3]
    for point in record["points"]:
        assert point["idle_bytes"] > 50e6
        for stretch in point["stretches"].values():
            assert stretch["served"] > 0
    wide = json.loads((tmp_path / "records" / "growth-connections.json").read_text("utf-8"))
    assert wide["figures"]["growth_connections_unserved_last"]["value"] == 0
    assert {p.name for p in tmp_path.glob("*.svg")} == {
        "growth-modalities.svg",
        "growth-connections.svg",
        "growth-models.svg",
    }
