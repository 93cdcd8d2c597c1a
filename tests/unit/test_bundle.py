from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentryfuse.bundle import read_bundle, write_bundle
from sentryfuse.errors import BundleError
from tests.bundles import random_bundle


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "1"
    write_bundle(random_bundle(), path)
    return path


@pytest.fixture
def bundle_dir(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    bundle = random_bundle()
    digest = write_bundle(bundle, tmp_path)
    again = read_bundle(tmp_path)
    assert again.digest == digest
    assert again.spec == bundle.spec
    assert again.accuracy == bundle.accuracy
    assert again.normalisation == bundle.normalisation
    for name, array in bundle.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)


def test_the_digest_depends_on_content_alone(tmp_path: Path) -> None:
    first = write_bundle(random_bundle(seed=1), tmp_path / "a")
    assert write_bundle(random_bundle(seed=1), tmp_path / "b") == first
    assert write_bundle(random_bundle(seed=2), tmp_path / "c") != first


def flip_a_weight(path: Path) -> None:
    data = bytearray((path / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "weights.safetensors").write_bytes(bytes(data))


def edit(path: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda p: shutil.rmtree(p), "not a bundle"),
        (lambda p: (p / "manifest.json").unlink(), "no manifest"),
        (lambda p: (p / "manifest.json").write_text("{"), "cannot be read"),
        (lambda p: (p / "manifest.json").write_text("[]"), "schema must be"),
        (lambda p: (p / "gate.safetensors").unlink(), "gate.safetensors: cannot be read"),
        (flip_a_weight, "damaged"),
        (lambda p: edit(p, lambda m: m.update(schema="other/1")), "got 'other/1'"),
        (lambda p: edit(p, lambda m: m.update(licence="mine")), "changed after"),
        (lambda p: edit(p, lambda m: m.pop("digest")), "changed after"),
    ],
)
def test_a_damaged_or_foreign_bundle_is_refused_with_the_reason(
    bundle_dir: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(bundle_dir)
    with pytest.raises(BundleError, match=reason):
        read_bundle(bundle_dir)


def test_a_smoothed_table_is_not_stored(tmp_path: Path) -> None:
    bundle = random_bundle()
    with pytest.raises(BundleError, match="not the smoothed table"):
        write_bundle(replace(bundle, accuracy=bundle.accuracy.smoothed), tmp_path)
