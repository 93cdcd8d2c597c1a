import numpy as np
import pytest

from sentryfuse.bundle import Bundle
from sentryfuse.errors import BundleError, ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle, random_windows

FULL = Presence.full(5)


@pytest.fixture(scope="module")
def builder() -> VariantBuilder:
    return VariantBuilder(random_bundle())


def _with_weights(**changes: np.ndarray) -> Bundle:
    bundle = random_bundle()
    bundle.weights.update(changes)
    return bundle


def test_a_mask_records_the_presence_and_ratio_it_was_made_for(builder: VariantBuilder) -> None:
    mask = builder.mask(Presence(0b00101, 5), 0.25)

    assert (mask.presence.bits, mask.permille) == (0b00101, 250)


def test_masks_of_ratios_that_round_to_one_permille_are_equal(builder: VariantBuilder) -> None:
    one, other = builder.mask(FULL, 0.5), builder.mask(FULL, 0.5004)

    assert one.digest == other.digest


def test_an_unpruned_mask_keeps_all_units_of_the_present_modalities(
    builder: VariantBuilder,
) -> None:
    presence = Presence(0b00101, 5)

    mask = builder.mask(presence, 0.0)

    np.testing.assert_array_equal(mask.keep, builder.inventory.active(presence))


def test_two_builders_of_one_bundle_make_the_same_variant() -> None:
    one, other = (VariantBuilder(random_bundle()) for _ in range(2))
    windows = random_windows(one.bundle.spec)

    logits = [b.build(b.mask(FULL, 0.5)).run(windows) for b in (one, other)]

    np.testing.assert_array_equal(*logits)


def test_each_thread_count_gives_the_same_logits(builder: VariantBuilder) -> None:
    windows = random_windows(builder.bundle.spec, batch=3)
    mask = builder.mask(FULL, 0.5)

    two_threads = VariantBuilder(builder.bundle, threads=2).build(mask).run(windows)

    np.testing.assert_allclose(two_threads, builder.build(mask).run(windows), atol=1e-6)


def test_threads_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="threads must be at least 1, got 0"):
        VariantBuilder(random_bundle(), threads=0)


def test_weights_of_another_shape_are_refused() -> None:
    bundle = _with_weights(**{"classifier.bias": np.zeros(7, dtype=np.float32)})

    with pytest.raises(BundleError, match=r"'classifier.bias' must be \(4,\), got \(7,\)"):
        VariantBuilder(bundle)


def test_a_missing_weight_is_named() -> None:
    bundle = random_bundle()
    del bundle.weights["pooled.weight"]

    with pytest.raises(BundleError, match=r"lack 'pooled.weight'"):
        VariantBuilder(bundle)


def test_an_unknown_weight_is_named() -> None:
    bundle = _with_weights(surprise=np.zeros(1, dtype=np.float32))

    with pytest.raises(BundleError, match="unknown 'surprise'"):
        VariantBuilder(bundle)


def test_a_weight_that_is_not_finite_is_named() -> None:
    bundle = _with_weights(**{"norm.bias": np.full(12, np.nan, dtype=np.float32)})

    with pytest.raises(BundleError, match=r"'norm.bias' holds a value that is not finite"):
        VariantBuilder(bundle)


def test_a_gate_for_another_model_is_refused() -> None:
    bundle = random_bundle()
    for name in ("scores.weight", "scores.bias"):
        bundle.gate_arrays[name] = bundle.gate_arrays[name][:-1]

    with pytest.raises(BundleError, match="gate scores 155 units, the model has 156"):
        VariantBuilder(bundle)


def test_a_mask_for_other_modalities_is_refused(builder: VariantBuilder) -> None:
    mask = Mask(Presence.full(3), 0, builder.mask(FULL, 0.0).keep)

    with pytest.raises(MaskMismatchError, match="mask is for 3 modalities, the model has 5"):
        builder.build(mask)


def test_a_mask_of_another_length_is_refused(builder: VariantBuilder) -> None:
    with pytest.raises(MaskMismatchError, match=r"must have 156 units, got \(7,\)"):
        builder.build(Mask(FULL, 0, np.ones(7, dtype=np.bool_)))


def test_a_mask_that_empties_a_layer_is_refused(builder: VariantBuilder) -> None:
    keep = builder.inventory.active(FULL)
    keep[builder.inventory["fusion.1.moe"].units] = False

    with pytest.raises(MaskMismatchError, match=r"leaves no unit in layer fusion.1.moe"):
        builder.build(Mask(FULL, 0, keep))
