"""A bundle and data sets on disk, and a way to run the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.cli import main
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.data.windows import WindowSet, save_windows
from tests.bundles import random_bundle, random_windows, small_spec


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        seen = capsys.readouterr()
        return Done(code, seen.out, seen.err)

    return run


@pytest.fixture
def failure(run: Run) -> Callable[..., str]:
    """Runs a command that must fail with one line on standard error, and returns the line."""

    def run_failing(*arguments: object) -> str:
        done = run(*arguments)
        assert done.code == 1
        assert done.err.count("\n") == 1
        assert "internal error" not in done.err
        return done.err

    return run_failing


def labelled_windows(count: int = 48) -> WindowSet:
    """Random windows of the small spec: twelve groups, four classes that differ in level."""
    spec = small_spec()
    label = np.arange(count) % 4
    arrays = {
        name: window + label[:, None, None].astype(np.float32)
        for name, window in random_windows(spec, batch=count).items()
    }
    return WindowSet(
        name="toy",
        arrays=arrays,
        label=label,
        group=np.arange(count) // 4,
        class_names=spec.task.class_names,
        modalities=spec.modalities,
        meta={"modalities": {name: {"rate_hz": 25} for name in arrays}},
    )


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return replace(
        random_bundle(), simulator_arrays=WindowSimulator.fit(labelled_windows()).to_arrays()
    )


@pytest.fixture(scope="session")
def bundle_dir(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "toy" / "1"
    write_bundle(bundle, path)
    return path


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    save_windows(labelled_windows(), tmp_path / "toy.npz")
    return tmp_path / "toy.npz"
