from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sentryfuse.errors import InputError
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant, VariantBuilder
from tests.bundles import random_bundle, random_windows

PRESENCE = Presence(0b00011, 5)


@pytest.fixture(scope="module")
def variant() -> Variant:
    builder = VariantBuilder(random_bundle())
    return builder.build(builder.mask(PRESENCE, 0.5))


def _windows(batch: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
    return random_windows(random_bundle().spec, ("sensor_0", "sensor_1"), batch=batch, seed=seed)


def test_run_gives_one_row_of_logits_per_window(variant: Variant) -> None:
    logits = variant.run(_windows(batch=3))

    assert (logits.shape, logits.dtype) == ((3, 4), np.float32)
    assert np.isfinite(logits).all()


def test_a_window_gets_the_same_logits_alone_and_in_a_batch(variant: Variant) -> None:
    windows = _windows(batch=7)

    together = variant.run(windows)

    alone = [variant.run({n: w[i : i + 1] for n, w in windows.items()})[0] for i in range(7)]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_many_threads_may_share_a_variant(variant: Variant) -> None:
    inputs = [_windows(batch=1 + seed % 3, seed=seed) for seed in range(40)]
    expected = [variant.run(windows) for windows in inputs]

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            for got, wanted in zip(threads.map(variant.run, inputs), expected, strict=True):
                np.testing.assert_array_equal(got, wanted)


def test_windows_need_not_be_contiguous(variant: Variant) -> None:
    windows = _windows(batch=2)
    strided = {name: np.asfortranarray(w) for name, w in windows.items()}

    np.testing.assert_array_equal(variant.run(strided), variant.run(windows))


def test_inputs_are_left_as_they_were(variant: Variant) -> None:
    windows = _windows()
    before = {name: w.copy() for name, w in windows.items()}

    variant.run(windows)

    for name, window in windows.items():
        np.testing.assert_array_equal(window, before[name])


def test_a_missing_modality_is_an_input_error(variant: Variant) -> None:
    windows = _windows()
    del windows["sensor_1"]

    with pytest.raises(InputError, match=r"\['sensor_0', 'sensor_1'\], got \['sensor_0'\]"):
        variant.run(windows)


def test_a_modality_of_another_presence_is_an_input_error(variant: Variant) -> None:
    with pytest.raises(InputError, match="sensor_2"):
        variant.run(random_windows(random_bundle().spec))


@pytest.mark.parametrize("shape", [(1, 11, 3), (1, 12, 2), (12, 3), (0, 12, 3)])
def test_a_window_of_another_shape_is_an_input_error(
    variant: Variant, shape: tuple[int, ...]
) -> None:
    windows = {**_windows(), "sensor_0": np.zeros(shape, dtype=np.float32)}

    with pytest.raises(InputError, match="sensor_0"):
        variant.run(windows)


def test_batches_of_unequal_size_are_an_input_error(variant: Variant) -> None:
    windows = {**_windows(batch=2), "sensor_1": _windows(batch=3)["sensor_1"]}

    with pytest.raises(InputError, match="sensor_1 are 3, others 2"):
        variant.run(windows)


def test_windows_of_another_type_are_an_input_error(variant: Variant) -> None:
    windows = {name: w.astype(np.float64) for name, w in _windows().items()}

    with pytest.raises(InputError, match="must be float32, got float64"):
        variant.run(windows)
