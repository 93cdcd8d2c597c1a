"""Window data sets are read whole or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentryfuse.data.windows import load_windows, save_windows
from sentryfuse.errors import DataError
from tests.unit.data.sets import window_set


def valid() -> dict[str, Any]:
    return {
        "motion": np.ones((4, 5, 3), dtype=np.float16),
        "heat": np.ones((4, 1, 1), dtype=np.float32),
        "label": np.array([0, 1, 2, 1]),
        "group": np.array([1, 1, 2, 3]),
    }


def written(folder: Path, **changes: Any) -> Path:
    """A file of :func:`valid` with keys replaced, or removed where None."""
    content = {k: v for k, v in {**valid(), **changes}.items() if v is not None}
    path = folder / "set.npz"
    np.savez(path, **content)
    return path


def test_without_meta_every_array_of_three_dimensions_is_a_modality(tmp_path: Path) -> None:
    windows = load_windows(written(tmp_path, age=np.arange(4)))
    assert [(m.name, m.length, m.channels) for m in windows.modalities] == [
        ("motion", 5, 3),
        ("heat", 1, 1),
    ]
    assert windows.class_names == ("0", "1", "2")
    assert (windows.name, len(windows)) == ("set", 4)


def test_meta_names_classes_units_channels_and_rates(tmp_path: Path) -> None:
    described = {"channels": ["x", "y", "z"], "units": ["g", "g", "rad/s"], "rate_hz": 25}
    meta = {
        "class_names": ["sit", "walk", "run"],
        "modality_keys": ["motion"],
        "modalities": {"motion": described},
    }
    windows = load_windows(written(tmp_path, meta=np.array(json.dumps(meta))))
    (modality,) = windows.modalities
    assert windows.class_names == ("sit", "walk", "run")
    assert (modality.rate_hz, modality.unit) == (25, "g, rad/s")
    assert modality.channel_names == ("x", "y", "z")


def test_a_saved_set_reads_back_the_same(tmp_path: Path) -> None:
    windows = window_set({"motion": np.random.default_rng(0).random((8, 5, 2))}, meta={"by": "us"})
    save_windows(windows, tmp_path / "deep" / "copy.npz")
    again = load_windows(tmp_path / "deep" / "copy.npz")
    np.testing.assert_array_equal(again.arrays["motion"], windows.arrays["motion"])
    np.testing.assert_array_equal(again.label, windows.label)
    np.testing.assert_array_equal(again.group, windows.group)
    assert again.class_names == windows.class_names
    assert again.meta["by"] == "us"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["copy.npz"]


def test_a_subset_keeps_rows_together(tmp_path: Path) -> None:
    windows = load_windows(written(tmp_path, heat=np.arange(4.0).reshape(4, 1, 1)))
    chosen = windows.of_groups((1, 3))
    assert chosen.arrays["heat"].ravel().tolist() == [0, 1, 3]
    assert chosen.label.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label": None}, "lacks 'label'"),
        ({"group": None}, "lacks 'group'"),
        ({"label": np.ones(4)}, "'label' must be whole numbers"),
        ({"label": np.array([[0, 1, 2, 1]])}, "'label' must be whole numbers"),
        ({"label": np.array([0, 1, -1, 1])}, "labels must be 0"),
        ({"label": np.array([], dtype=int), "group": np.array([], dtype=int)}, "at least one"),
        ({"group": np.arange(3)}, "4 labels but 3 groups"),
        ({"motion": np.ones((4, 5, 3), dtype=int)}, "'motion' must be floats .* got int64"),
        ({"motion": np.ones((4, 0, 3))}, r"'motion' must be floats .* \(4, 0, 3\)"),
        ({"motion": np.ones((3, 5, 3))}, "'motion' has 3 windows, 'label' has 4"),
        ({"motion": None, "heat": None}, "holds no modality"),
        ({"mo tion": np.ones((4, 5, 3))}, "modality name must match"),
    ],
)
def test_content_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(DataError, match=reason) as caught:
        load_windows(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ("{", "meta is not JSON"),
        ("[1]", "meta must be a JSON object, got list"),
        ('{"class_names": ["a", "b"]}', "label 2 has no name; there are 2"),
        ('{"class_names": "abc"}', "class_names in meta must be a list of strings"),
        ('{"modality_keys": [1]}', "modality_keys in meta must be a list of strings"),
        ('{"modality_keys": ["gone"]}', "names modality 'gone', but there is no such key"),
        ('{"modalities": []}', None),
        ('{"modalities": {"motion": {"rate_hz": "fast"}}}', "meta is not usable"),
        ('{"modalities": {"motion": {"rate_hz": -1}}}', "rate_hz must be at least 0"),
        ('{"modalities": {"motion": {"channels": ["x"]}}}', "3 channels but 1 channel names"),
        ('{"modalities": {"motion": 5}}', "meta is not usable"),
        ('{"modalities": [5]}', "meta is not usable"),
    ],
)
def test_meta_that_does_not_fit_is_refused(tmp_path: Path, meta: str, reason: str | None) -> None:
    path = written(tmp_path, meta=np.array(meta))
    if reason is None:
        assert len(load_windows(path)) == 4
        return
    with pytest.raises(DataError, match=reason):
        load_windows(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.npz: no such file"):
        load_windows(tmp_path / "gone.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"\.npz file"):
        load_windows(path)


def test_a_single_array_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones((4, 5, 3)))
    with pytest.raises(DataError, match=r"not an \.npz file"):
        load_windows(tmp_path / "one.npy")
    with pytest.raises(DataError, match=r"not a readable \.npz file"):
        load_windows(tmp_path)


def test_pickled_content_is_never_unpickled(tmp_path: Path) -> None:
    path = written(tmp_path, meta=np.array({"class_names": []}, dtype=object))
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        load_windows(path)


def test_a_truncated_or_overwritten_file_is_refused_and_never_crashes(tmp_path: Path) -> None:
    whole = written(tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError):
            load_windows(path)
    for _ in range(200):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 4):
            damaged[position] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            load_windows(path)
        except DataError as error:
            assert str(path) in str(error)  # noqa: PT017 - unharmed bytes may also be hit
