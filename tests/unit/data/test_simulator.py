"""The simulator keeps what makes a class recognisable, and nothing of a recording."""

from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.data.simulator import SIMULATED_NOTE, WindowSimulator
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.spec import BackboneSpec, ModelSpec, TaskSpec
from tests.unit.data.sets import waves, window_set


def spec_of(windows: WindowSet) -> ModelSpec:
    return ModelSpec(
        task=TaskSpec(name="toy", class_names=windows.class_names),
        modalities=windows.modalities,
        backbone=BackboneSpec(),
    )


def two_classes(count: int = 40) -> WindowSet:
    """Class 0: three slow turns around 0. Class 1: twelve turns around 50."""
    label = np.arange(count) % 2
    return window_set({"motion": waves(3.0 + 9 * label, count=count, level=50.0 * label)})


def draws(simulator: WindowSimulator, label: int, count: int = 50) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([simulator.window(label, rng)[1]["motion"] for _ in range(count)])


def test_a_window_has_the_level_deviation_and_frequency_of_its_class() -> None:
    simulator = WindowSimulator.fit(two_classes())
    slow, fast = draws(simulator, 0), draws(simulator, 1)
    assert slow.mean() == pytest.approx(0, abs=0.1)
    assert fast.mean() == pytest.approx(50, abs=0.1)
    assert slow.std(axis=1).mean() == pytest.approx(np.sqrt(2), rel=0.1)
    peaks = [np.abs(np.fft.rfft(x[..., 0], axis=1))[:, 1:].argmax(axis=1) + 1 for x in (slow, fast)]
    assert np.median(peaks, axis=1).tolist() == [3, 12]


def test_channels_keep_their_phase_against_each_other() -> None:
    windows = draws(WindowSimulator.fit(two_classes()), 0)
    same_time = np.mean(windows[..., 0] * windows[..., 1])
    quarter_turn_later = np.mean(windows[:, :-5, 0] * windows[:, 5:, 1])
    assert abs(same_time) < 0.2
    assert quarter_turn_later == pytest.approx(2.0, rel=0.15)


def test_noise_keeps_its_memory() -> None:
    walk = np.zeros((60, 100, 1))
    fresh = np.random.default_rng(0).standard_normal(walk.shape)
    for i in range(1, 100):
        walk[:, i] = 0.9 * walk[:, i - 1] + fresh[:, i]
    simulated = draws(WindowSimulator.fit(window_set({"motion": walk})), 0)
    swing = simulated - simulated.mean(axis=1, keepdims=True)
    memory = (swing[:, 1:] * swing[:, :-1]).sum() / (swing**2).sum()
    assert memory == pytest.approx(0.85, abs=0.1)


def test_the_same_generator_state_gives_the_same_window() -> None:
    simulator = WindowSimulator.fit(two_classes())
    first = simulator.window(None, np.random.default_rng(5))
    second = simulator.window(None, np.random.default_rng(5))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1]["motion"], second[1]["motion"])


def test_arrays_rebuild_the_same_simulator() -> None:
    windows = two_classes()
    windows.arrays["motion"][0, :7, 1] = np.nan
    fitted = WindowSimulator.fit(windows)
    rebuilt = WindowSimulator.from_arrays(fitted.to_arrays(), spec_of(windows))
    np.testing.assert_array_equal(draws(rebuilt, 0), draws(fitted, 0))
    assert {a.dtype.name for a in fitted.to_arrays().values()} == {"float32"}


def test_a_wearable_data_set_takes_at_most_30_kilobytes() -> None:
    rng = np.random.default_rng(0)
    names = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
    windows = window_set({n: rng.random((38, 125, 9)) for n in names}, classes=19)
    arrays = WindowSimulator.fit(windows).to_arrays()
    assert sum(a.nbytes for a in arrays.values()) <= 30_000


def test_windows_of_one_sample_spread_like_the_class() -> None:
    rng = np.random.default_rng(0)
    windows = window_set({"motion": rng.normal(7.0, 3.0, (400, 1, 2))}, classes=1)
    simulated = draws(WindowSimulator.fit(windows), 0, count=400)
    assert simulated.shape == (400, 1, 2)
    assert simulated.mean() == pytest.approx(7, abs=0.5)
    assert simulated.std() == pytest.approx(3, rel=0.15)


def test_what_was_seldom_measured_is_seldom_simulated() -> None:
    windows = two_classes()
    windows.arrays["motion"][:, :45, 1] = np.nan
    simulated = draws(WindowSimulator.fit(windows), 0)
    assert np.isnan(simulated[..., 0]).mean() == 0
    assert np.isnan(simulated[..., 1]).mean() == pytest.approx(0.75, abs=0.05)


def test_a_channel_that_was_never_measured_stays_so() -> None:
    windows = two_classes()
    windows.arrays["motion"][..., 1] = np.nan
    assert np.isnan(draws(WindowSimulator.fit(windows), 0)[..., 1]).all()


def test_half_precision_values_near_the_limit_do_not_overflow() -> None:
    windows = window_set({"motion": np.full((8, 20, 2), 60_000, dtype=np.float16)})
    simulated = draws(WindowSimulator.fit(windows), 0)
    np.testing.assert_allclose(simulated, 60_000, rtol=1e-3)


def test_no_window_of_a_person_can_be_had_back() -> None:
    """Two people with opposite levels leave only their average and how far people differ."""
    label = np.zeros(40, dtype=np.int64)
    person = np.arange(40) % 2
    windows = window_set(
        {"motion": waves(3.0, level=np.where(person, 10.0, -10.0))}, label=label, group=person
    )
    simulator = WindowSimulator.fit(windows)
    swapped = window_set(windows.arrays, label=label, group=1 - person)
    np.testing.assert_array_equal(
        WindowSimulator.fit(swapped).statistics["motion"], simulator.statistics["motion"]
    )
    assert abs(simulator.statistics["motion"][0]).max() < 0.5


def test_a_class_without_training_windows_is_refused_and_never_drawn() -> None:
    windows = window_set({"motion": waves(3.0, count=8)}, label=np.full(8, 1), classes=3)
    simulator = WindowSimulator.fit(windows)
    rng = np.random.default_rng(0)
    assert {simulator.window(None, rng)[0] for _ in range(20)} == {1}
    with pytest.raises(ConfigError, match="class 2 cannot be simulated"):
        simulator.window(2, rng)


@pytest.mark.parametrize("label", [-1, 2])
def test_an_unknown_class_is_refused(label: int) -> None:
    with pytest.raises(ConfigError, match=r"label must be in \[0, 1\]"):
        WindowSimulator.fit(two_classes()).window(label, np.random.default_rng(0))


def test_arrays_that_do_not_fit_the_spec_are_refused() -> None:
    windows = two_classes()
    arrays = WindowSimulator.fit(windows).to_arrays()
    del arrays["statistics.motion"]
    with pytest.raises(BundleError, match=r"'statistics\.motion' must be \(8, 2, 2\), got None"):
        WindowSimulator.from_arrays(arrays, spec_of(windows))
    arrays = WindowSimulator.fit(windows).to_arrays()
    with pytest.raises(BundleError, match="knows no class"):
        WindowSimulator.from_arrays({**arrays, "known": np.zeros(2, np.float32)}, spec_of(windows))
    with pytest.raises(BundleError, match="holds no simulator"):
        WindowSimulator.from_arrays({}, spec_of(windows))


def test_the_note_says_that_windows_are_simulated() -> None:
    assert SIMULATED_NOTE.startswith("Simulated")
