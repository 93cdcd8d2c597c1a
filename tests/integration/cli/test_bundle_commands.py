"""build, inspect, profile and meter on a bundle on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_windows
from tests.integration.cli.conftest import Run


def test_a_built_graph_gives_the_variants_logits(
    run: Run, bundle: Bundle, bundle_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "half.onnx"
    done = run("build", bundle_dir, "--present", "sensor_0,sensor_2", "--ratio", 0.5, "--out", out)
    assert done.code == 0
    windows = random_windows(bundle.spec, ("sensor_0", "sensor_2"), batch=3)
    builder = VariantBuilder(bundle)
    variant = builder.build(builder.mask(Presence.of((0, 2), 5), 0.5))
    logits = onnxruntime.InferenceSession(out).run(None, dict(windows))[0]
    np.testing.assert_allclose(logits, variant.run(windows), atol=1e-5)


def test_a_built_graph_has_its_card_beside_it(run: Run, bundle_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.onnx"
    done = run("build", bundle_dir, "--ratio", 0.8, "--out", out, "--json")
    card = json.loads((tmp_path / "small.json").read_text())
    assert card == done.data
    assert card["memory_bytes"] == out.stat().st_size
    assert card["ratio"] == 0.8
    assert card["modalities"] == [f"sensor_{i}" for i in range(5)]
    assert 0 < card["flops_kept_ratio"] < 1


def test_build_writes_onnx_files_only(run: Run, bundle_dir: Path, tmp_path: Path) -> None:
    done = run("build", bundle_dir, "--out", tmp_path / "variant.json")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])
    assert "must end in .onnx" in done.err


def test_inspect_shows_facts_and_a_row_for_each_variant(run: Run, bundle_dir: Path) -> None:
    done = run("inspect", bundle_dir, "--ratios", "0,0.5", "--missing", 4, "-q")
    lines = done.out.splitlines()
    assert any(line.startswith("licence") and "made up for tests" in line for line in lines)
    assert any("sensor_0 [12, 3] at 25 Hz" in line for line in lines)
    rows = [line for line in lines if line.startswith(" sensor_")]
    assert len(rows) == 10
    assert not any(" - " in row for row in rows)  # ms and mJ were measured


def test_inspect_gives_every_figure_as_json(run: Run, bundle: Bundle, bundle_dir: Path) -> None:
    done = run("inspect", bundle_dir, "--missing", "all", "--ratios", "0,0.9", "--json")
    variants = done.data["variants"]
    assert len(variants) == 62
    assert {v["presence"] for v in variants} == {f"{bits:02x}" for bits in range(1, 32)}
    dense, pruned = variants[:2]
    assert pruned["flops"] < dense["flops"]
    assert pruned["expected_accuracy"] == bundle.accuracy.expected(bundle.spec.full_presence, 900)
    assert all(v["latency_s"] > 0 and v["energy_j"] > 0 for v in variants)
    assert done.data["energy_quality"] == "modelled"


def test_inspect_measures_nothing_when_told_so(run: Run, bundle_dir: Path) -> None:
    done = run("inspect", bundle_dir, "--no-profile", "--present", "sensor_1", "--json")
    assert [v["modalities"] for v in done.data["variants"]] == [["sensor_1"]] * 6
    assert "latency_s" not in done.data["variants"][0]


@pytest.mark.parametrize("missing", ["5", "-1", "some", ""])
def test_inspect_refuses_a_number_of_missing_modalities_that_cannot_be(
    run: Run, bundle_dir: Path, missing: str
) -> None:
    done = run("inspect", bundle_dir, f"--missing={missing}")
    assert done.code == 2
    assert "must be 'all' or a number below 5" in done.err


def test_energy_is_cpu_time_multiplied_by_the_watts_of_a_core(
    run: Run, bundle_dir: Path, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"
    run("profile", bundle_dir, "--out", profile, "--repeats", 3, "--ratios", "0", "--batches", "1")
    once, twice = (
        run("inspect", bundle_dir, "--profile", profile, "--watts-per-core", watts, "--json").data[
            "variants"
        ][0]["energy_j"]
        for watts in (5, 10)
    )
    assert twice == pytest.approx(2 * once)


def test_profile_writes_what_it_measured(run: Run, bundle_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "profile.json"
    done = run(
        "profile", bundle_dir, "--out", out, "--repeats", 2, "--batches", "1,2", "--json", "-q"
    )
    assert json.loads(out.read_text()) == done.data
    assert {sample["batch"] for sample in done.data["samples"]} == {1, 2}
    assert done.err == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bundle_digest": "other"}, "was measured for another bundle"),
        ({"fingerprint": "other"}, "was measured on another kind of host"),
        ({"samples": []}, "not a host profile"),
    ],
)
def test_a_profile_of_something_else_is_refused(
    run: Run,
    failure: Callable[..., str],
    bundle_dir: Path,
    tmp_path: Path,
    change: dict[str, object],
    reason: str,
) -> None:
    path = tmp_path / "profile.json"
    made = run("profile", bundle_dir, "--repeats", 1, "--ratios", "0", "--batches", "1", "--json")
    path.write_text(json.dumps({**made.data, **change}))
    assert reason in failure("inspect", bundle_dir, "--profile", path, "-q")


@pytest.mark.parametrize("command", ["inspect", "profile", "build", "predict", "simulate"])
def test_a_folder_that_is_no_bundle_is_refused(
    failure: Callable[..., str], tmp_path: Path, command: str
) -> None:
    more = {"build": ["--out", tmp_path / "v.onnx"], "predict": ["-"]}.get(command, [])
    first = ["data", "simulate"] if command == "simulate" else [command]
    assert "is not a bundle" in failure(*first, tmp_path, *more)


def test_a_damaged_bundle_is_refused(
    failure: Callable[..., str], bundle_dir: Path, tmp_path: Path
) -> None:
    for file in bundle_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "damaged: its SHA-256 is not" in failure("inspect", tmp_path)


def test_meter_says_which_meter_it_is_and_how_it_knows(run: Run) -> None:
    done = run("meter", "--seconds", 0.05, "--json")
    assert (done.data["source"], done.data["quality"]) == ("cpu-time", "modelled")
    assert done.data["power_w"] >= done.data["idle_power_w"] * 0.99


def test_meter_replays_a_recording(run: Run, tmp_path: Path) -> None:
    recording = tmp_path / "power.csv"
    recording.write_text("time_s,joules\n0,100\n0.001,100.005\n0.01,100.05\n")
    done = run("meter", "--meter", "replay", "--recording", recording, "--seconds", 0.1)
    assert "source      replay" in done.out


@pytest.mark.parametrize("name", ["replay", "geiger"])
def test_a_meter_that_cannot_be_opened_is_refused(failure: Callable[..., str], name: str) -> None:
    assert "meter" in failure("meter", "--meter", name)


def test_commands_that_do_not_train_never_import_torch(bundle_dir: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from sentryfuse.cli import main
bundle, folder = {str(bundle_dir)!r}, {str(tmp_path)!r}
codes = [main(arguments) for arguments in (
    ["inspect", bundle, "-q"],
    ["build", bundle, "--out", folder + "/v.onnx"],
    ["data", "simulate", bundle, "--out", folder + "/s.npz", "--count", "3"],
    ["predict", bundle, folder + "/s.npz"],
    ["data", "describe", folder + "/s.npz"],
    ["data", "list"],
    ["serve", "--help"],
)]
print(codes, "torch" in sys.modules, "scipy" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 0] False False"
