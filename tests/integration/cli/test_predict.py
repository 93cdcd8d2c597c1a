"""predict from a data set, a file and standard input; simulate feeds it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.data.windows import load_windows, save_windows
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle
from tests.integration.cli.conftest import Run, labelled_windows


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def payload(**windows: object) -> str:
    return json.dumps({"inputs": windows})


WINDOW = [[0.5, 1.0]] * 10  # of sensor_1


def test_accuracy_on_a_data_set_is_that_of_the_variant(
    run: Run, bundle: Bundle, bundle_dir: Path, data_set: Path
) -> None:
    done = run("predict", bundle_dir, data_set, "--present", "sensor_0", "--ratio", 0.5, "--json")
    windows = load_windows(data_set)
    builder = VariantBuilder(bundle)
    variant = builder.build(builder.mask(Presence.of((0,), 5), 0.5))
    best = variant.run({"sensor_0": windows.arrays["sensor_0"]}).argmax(axis=1)
    assert [p["index"] for p in done.data["predictions"]] == best.tolist()
    assert done.data["accuracy"] == (best == windows.label).mean()


def test_without_json_the_accuracy_is_a_line_and_rows_are_a_table(
    run: Run, bundle_dir: Path, data_set: Path
) -> None:
    short = run("predict", bundle_dir, data_set, "-q").out
    assert short.startswith("accuracy 0.")
    assert short.endswith(" of 48 windows)\n")
    assert run("predict", bundle_dir, data_set, "--rows").out.count("class-") == 96


def test_only_the_test_groups_are_asked_about(run: Run, bundle_dir: Path, data_set: Path) -> None:
    assert " of 8 windows" in run("predict", bundle_dir, data_set, "--part", "test").out
    assert run("predict", bundle_dir, data_set, "--part", "best").code == 2


def test_values_that_were_not_measured_count_as_the_training_mean(
    run: Run, bundle: Bundle, bundle_dir: Path, tmp_path: Path
) -> None:
    windows = labelled_windows(12)
    holes, filled = windows.arrays["sensor_0"].copy(), windows.arrays["sensor_0"].copy()
    holes[:, ::2, 1] = np.nan
    filled[:, ::2, 1] = bundle.normalisation["sensor_0"].mean[1]
    answers = []
    for array in (holes, filled):
        changed = replace(windows, arrays={**windows.arrays, "sensor_0": array})
        save_windows(changed, tmp_path / "set.npz")
        answers.append(run("predict", bundle_dir, tmp_path / "set.npz", "--json").data)
    assert answers[0] == answers[1]


def test_a_json_file_is_answered_with_the_three_best_classes(
    run: Run, bundle_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "window.json"
    path.write_text(payload(sensor_1=WINDOW, sensor_0=None))
    words, data = run("predict", bundle_dir, path).out, run("predict", bundle_dir, path, "--json")
    assert words.count("class-") == 3
    assert data.data["label"] == words.split()[0]
    assert sum(c["probability"] for c in data.data["top"]) <= 1 + 1e-9


def test_standard_input_is_answered_line_by_line(
    run: Run, bundle_dir: Path, type_in: Callable[[str], None]
) -> None:
    batch = [WINDOW, WINDOW]
    type_in(payload(sensor_1=WINDOW) + "\n\n" + payload(sensor_1=batch) + "\n")
    answers = run("predict", bundle_dir, "-", "--json").out.splitlines()
    assert len(answers) == 3
    assert len(set(answers)) == 1


def test_present_leaves_out_what_the_payload_holds_beyond_it(
    run: Run, bundle_dir: Path, type_in: Callable[[str], None]
) -> None:
    one = payload(sensor_1=WINDOW)
    both = payload(sensor_1=WINDOW, sensor_2=[[9.0]] * 7)
    type_in(one)
    alone = run("predict", bundle_dir, "-").out
    type_in(both)
    assert run("predict", bundle_dir, "-", "--present", "sensor_1").out == alone
    type_in(both)
    assert run("predict", bundle_dir, "-").out != alone


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1: not JSON"),
        (payload(sensor_1=WINDOW) + "\n" + payload(nose=1), "line 2: unknown modality 'nose'"),
        (payload(sensor_1=WINDOW[:-1]), r"line 1: sensor_1 must be [10, 2]"),
        (payload(), "line 1: no modality is present"),
    ],
)
def test_bad_lines_are_named(
    failure: Callable[..., str],
    bundle_dir: Path,
    type_in: Callable[[str], None],
    text: str,
    reason: str,
) -> None:
    type_in(text)
    assert reason in failure("predict", bundle_dir, "-")


def test_a_payload_without_what_was_asked_for_is_refused(
    failure: Callable[..., str], bundle_dir: Path, type_in: Callable[[str], None]
) -> None:
    type_in(payload(sensor_1=WINDOW))
    assert "none of ['sensor_0'] is present" in failure(
        "predict", bundle_dir, "-", "--present", "sensor_0"
    )


def test_a_file_that_is_missing_or_no_text_is_refused(
    failure: Callable[..., str], bundle_dir: Path, tmp_path: Path
) -> None:
    assert "no such file" in failure("predict", bundle_dir, tmp_path / "gone.json")
    assert "no such file" in failure("predict", bundle_dir, tmp_path / "gone.npz")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in failure("predict", bundle_dir, tmp_path / "x.json")
    (tmp_path / "x.npz").write_bytes(b"PK")
    assert "not a readable .npz" in failure("predict", bundle_dir, tmp_path / "x.npz")


def test_a_data_set_of_other_sensors_or_classes_is_refused(
    failure: Callable[..., str], bundle_dir: Path, tmp_path: Path
) -> None:
    path, windows = tmp_path / "set.npz", labelled_windows(12)
    first, *others = windows.modalities
    save_windows(
        replace(
            windows,
            modalities=tuple(others),
            arrays={m.name: windows.arrays[m.name] for m in others},
        ),
        path,
    )
    assert f"lacks modality '{first.name}'" in failure("predict", bundle_dir, path)
    shorter = {**windows.arrays, first.name: windows.arrays[first.name][:, :-1]}
    save_windows(replace(windows, arrays=shorter), path)
    assert "windows of sensor_0 must be [12, 3], set has [11, 3]" in failure(
        "predict", bundle_dir, path
    )
    save_windows(replace(windows, class_names=("a", "b", "c", "d")), path)
    assert "has the classes ['a', 'b', 'c', 'd']" in failure("predict", bundle_dir, path)


def test_simulated_windows_can_be_asked_about(
    run: Run, bundle_dir: Path, type_in: Callable[[str], None]
) -> None:
    drawn = run("data", "simulate", bundle_dir, "--count", 3, "--label", "class-2")
    assert drawn.err.startswith("Simulated")
    assert [json.loads(line)["id"] for line in drawn.out.splitlines()] == ["simulated class-2"] * 3
    type_in(drawn.out)
    assert len(run("predict", bundle_dir, "-").out.splitlines()) == 3


def test_a_seed_fixes_what_is_simulated_and_a_number_names_a_class(
    run: Run, bundle_dir: Path
) -> None:
    first, again = (run("data", "simulate", bundle_dir, "--label", 1, "--seed", 7) for _ in "12")
    assert first.out == again.out
    assert first.out != run("data", "simulate", bundle_dir, "--label", 1, "--seed", 8).out


def test_a_simulated_data_set_says_that_it_is_simulated(
    run: Run, bundle_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "simulated.npz"
    assert run("data", "simulate", bundle_dir, "--count", 20, "--out", out).code == 0
    windows = load_windows(out)
    assert len(windows) == 20
    assert windows.meta["dataset"].startswith("Simulated")
    assert run("predict", bundle_dir, out).code == 0


@pytest.mark.parametrize("label", ["class-9", "4", "-1"])
def test_a_class_that_does_not_exist_is_refused(run: Run, bundle_dir: Path, label: str) -> None:
    done = run("data", "simulate", bundle_dir, f"--label={label}")
    assert done.code == 2
    assert "there are class-0, class-1" in done.err


def test_a_bundle_without_a_simulator_says_so(failure: Callable[..., str], tmp_path: Path) -> None:
    write_bundle(random_bundle(), tmp_path)
    assert "the bundle holds no simulator" in failure("data", "simulate", tmp_path)
