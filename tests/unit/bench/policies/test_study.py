from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.overhead import plan_seconds
from sentryfuse.bench.policies.plots import draw
from sentryfuse.bench.policies.recovery import measure_recovery
from sentryfuse.bench.policies.report import write_record
from sentryfuse.bench.policies.study import Study, read_study, run_study
from sentryfuse.bench.policies.traces import TRACES
from sentryfuse.errors import ConfigError

SHIPPED = Path("configs/bench/policies.toml")


@pytest.fixture
def study(node: Node) -> Study:
    whole = read_study(SHIPPED, node.permilles)
    return whole.only(
        traces=["bursts-8", "solar"], policies=["fair-price", "fixed-0"], seeds=[100]
    ).shortened(0.2)


def test_the_shipped_study_plays_every_trace_on_reported_seeds() -> None:
    study = read_study(SHIPPED, [0, 900])
    assert tuple(study.scenes) == TRACES
    assert study.seeds == (0, 1, 2)
    assert study.policies[-2:] == ("fixed-0", "fixed-900")


def test_load_is_a_part_of_what_the_smallest_variant_carries(node: Node, study: Study) -> None:
    assert node.capacity_hz() == pytest.approx(2000.0)
    longer = replace(study.scenes["solar"], duration_s=4.0)
    trace = replace(study, scenes={"solar": longer}).trace(node, "solar", 0)
    assert len(trace.arrivals) / 4.0 == pytest.approx(0.4 * 2000.0, rel=0.1)


def test_a_study_gives_a_score_for_each_run_and_writes_a_record(
    node: Node, study: Study, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    results = run_study(
        study, node, processes=1, progress=lambda done, total: told.append((done, total))
    )
    assert [(s.trace, s.policy) for s in results.scores] == [
        (trace, policy) for trace in ("bursts-8", "solar") for policy in ("fair-price", "fixed-0")
    ]
    assert set(results.bounds) == {("bursts-8", 100), ("solar", 100)}
    assert told[-1] == (6, 6)

    recoveries = measure_recovery(node, load=0.5, deadline_s=0.02, seeds=range(2), requests=60)
    assert [r.error for r in recoveries] == [1.5, 0.5]
    cost = plan_seconds(node, queued=50, rounds=20)
    record = write_record(study, node, results, recoveries, cost)
    record.save(tmp_path)
    for picture in draw(study, node, results, tmp_path):
        assert "</svg>" in picture.read_text(encoding="utf-8")
    assert record.figures["policy_over_oracle"]["value"] <= 1.0
    assert record.figures["plan_seconds_p50"]["value"] > 0.0


def test_unknown_traces_and_policies_are_named_with_those_there_are(study: Study) -> None:
    with pytest.raises(ConfigError, match=r"trace must be one of bursts-8, solar, got 'storm'"):
        study.only(traces=["storm"])
    with pytest.raises(ConfigError, match=r"policy must be one of .*, got 'luck'"):
        study.only(policies=["luck"])


@pytest.mark.parametrize(
    "text", ["", "deadline_s = 1\nseeds = [0]\n[traces]\nstorm = {load = 1, duration_s = 1}\n"]
)
def test_a_study_that_makes_no_sense_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"not a study|trace must be one of"):
        read_study(path, [0])
