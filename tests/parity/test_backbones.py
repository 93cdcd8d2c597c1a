from dataclasses import replace

import numpy as np
import pytest

from sentryfuse.learn.backbones import build_backbone
from sentryfuse.learn.backbones.registry import BACKBONES
from sentryfuse.presence import Presence, all_presences
from sentryfuse.pruning import Mask
from sentryfuse.spec import SPARSE_FORMS, ModelSpec
from sentryfuse.units.inventory import LAYOUTS
from sentryfuse.variants.graphs import GRAPH_FAMILIES
from sentryfuse.variants.weights import weight_shapes
from tests.bundles import random_bundle, random_windows, small_spec, wearable_spec
from tests.parity.twins import Twins, random_mask

KINDS = ("maestro", "flexmoe", "fusemoe")
RATIOS = (0.0, 0.5, 0.9)

# Each exercises a part of the graph that the plain small spec does not.
SPECS = {
    "different lengths, rates and channels": small_spec(((40, 1), (7, 6), (23, 2), (1, 3))),
    "no summary token": small_spec(summary_token=False),
    "samples standardised by themselves": small_spec(((40, 1), (7, 6), (23, 2)), sample_norm=True),
    "flexmoe, one patch, samples standardised": small_spec(
        kind="flexmoe", sample_norm=True, max_tokens=1, summary_token=False
    ),
    "three encoder layers with odd token counts": small_spec(encoder_layers=3, max_tokens=7),
    "two of three experts per token": small_spec(experts_per_token=2),
    "one of three experts per token": small_spec(experts_per_token=1),
    "a single expert": small_spec(num_experts=1, experts_per_token=1),
    "sparse attention": small_spec(sparse_from=4, sparse_factor=1, max_tokens=12),
    "sparse attention, head by head": small_spec(
        sparse_from=4, sparse_factor=1, max_tokens=12, sparse_form="by_head"
    ),
    "sparse fusion, dense encoders": small_spec(sparse_from=8, sparse_factor=2),
    "sparse attention without sharing": small_spec(
        sparse_from=4, sparse_factor=1, max_tokens=12, num_kv_heads=4
    ),
    "sparse attention without sharing, head by head": small_spec(
        sparse_from=4, sparse_factor=1, max_tokens=12, num_kv_heads=4, sparse_form="by_head"
    ),
    "one key/value head": small_spec(num_kv_heads=1),
    "rich summaries": small_spec(summary="rich"),
    "rich summaries, samples by themselves": small_spec(summary="rich", sample_norm=True),
    "rich summaries, other lengths": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)), summary="rich", kind="fusemoe"
    ),
    "rich, but no summary token": small_spec(summary="rich", summary_token=False),
    "plain summaries at one scale": small_spec(standardise_summary=True),
    "steps": small_spec(((40, 1), (7, 6), (23, 2), (1, 3)), steps=5),
    "steps and rich summaries": small_spec(
        ((40, 1), (31, 6), (23, 2)),
        steps=8,
        summary="rich",
        gaps=(1,),
        kind="flexmoe",
        standardise_summary=True,
    ),
    "gaps": small_spec(gaps=(0, 3), kind="flexmoe"),
    "gaps and rich summaries": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)), gaps=(0, 1, 3), summary="rich"
    ),
    "gaps and a history": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)), gaps=(0, 1, 3), summary="history", kind="fusemoe"
    ),
    "gaps, a history, no feature far from its mean": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)),
        gaps=(0, 1, 3),
        summary="history",
        standardise_summary=True,
        feature_limit=0.5,
    ),
    "no feature of a step far from its mean": small_spec(
        ((40, 1), (31, 6)), steps=8, summary="rich", standardise_summary=True, feature_limit=0.5
    ),
    "gaps, but no summary token": small_spec(gaps=(1,), summary_token=False),
    "a single modality": small_spec(((12, 3),)),
    "wide heads, one fusion layer": small_spec(head_dim=9, fusion_layers=1),
    "flexmoe, best experts, other lengths": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)), kind="flexmoe", experts_per_token=2
    ),
    "flexmoe, a large bank, sparse fusion": small_spec(
        kind="flexmoe", bank_tokens=5, bank_rank=1, sparse_from=12, sparse_factor=2
    ),
    "flexmoe, a single modality": small_spec(((12, 3),), kind="flexmoe"),
    "fusemoe, best experts, other lengths": small_spec(
        ((40, 1), (7, 6), (23, 2), (1, 3)), kind="fusemoe", experts_per_token=2
    ),
    "fusemoe, joint router": small_spec(kind="fusemoe", router="joint", experts_per_token=1),
    "fusemoe, disjoint routers": small_spec(
        kind="fusemoe", router="disjoint", num_experts=10, experts_per_token=1, encoder_layers=2
    ),
    "fusemoe, disjoint experts, one each": small_spec(
        kind="fusemoe", router="disjoint", num_experts=5, experts_per_token=1, summary_token=False
    ),
    "fusemoe, a single modality": small_spec(((12, 3),), kind="fusemoe"),
}


@pytest.mark.parametrize("spec", [*map(wearable_spec, KINDS), *SPECS.values()])
def test_weights_are_named_and_shaped_like_the_torch_modules(spec: ModelSpec) -> None:
    state = build_backbone(spec).state_dict()

    assert {name: tuple(w.shape) for name, w in state.items()} == weight_shapes(spec)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_missing", range(5))
def test_masked_sliced_and_variant_agree_for_every_presence_and_ratio(
    kind: str, num_missing: int
) -> None:
    twins = Twins(random_bundle(small_spec(kind=kind)))
    for presence in all_presences(5, num_missing):
        names = presence.names(twins.bundle.spec.modality_names)
        windows = random_windows(twins.bundle.spec, names, batch=2, seed=presence.bits)
        for ratio in RATIOS:
            twins.assert_agree(twins.builder.mask(presence, ratio), windows)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("batch", [1, 5])
def test_twins_agree_whatever_the_spec(spec: ModelSpec, batch: int) -> None:
    twins = Twins(random_bundle(spec, seed=batch))
    inventory, size = twins.builder.inventory, len(spec.modalities)
    for presence in {Presence.full(size), Presence(1, size), Presence(1 << size - 1, size)}:
        names = presence.names(spec.modality_names)
        windows = random_windows(spec, names, batch=batch, seed=presence.bits)
        twins.assert_agree(twins.builder.mask(presence, 0.0), windows)
        mask = random_mask(inventory, presence, keep=0.6, seed=presence.bits)
        twins.assert_agree(mask, windows)


@pytest.mark.parametrize("heads", [(0, 1, 4), (0, 2, 3, 5), (0, 1, 2, 3, 6, 7), (7,)])
@pytest.mark.parametrize(
    "form",
    [
        {"sparse_from": 150},
        {"sparse_from": 4, "sparse_factor": 1, "sparse_form": "shared"},
        {"sparse_from": 4, "sparse_factor": 1, "sparse_form": "by_head"},
    ],
    ids=["dense", "shared", "by head"],
)
def test_uneven_key_value_groups_agree(heads: tuple[int, ...], form: dict[str, int | str]) -> None:
    spec = small_spec(num_heads=8, num_kv_heads=2, **form)
    twins = Twins(random_bundle(spec))
    keep = twins.builder.inventory.active(spec.full_presence)
    for layer in twins.builder.inventory.layers:
        if layer.kind == "head":
            keep[layer.units] = np.isin(np.arange(layer.count), heads)

    twins.assert_agree(Mask(spec.full_presence, 0, keep), random_windows(spec, batch=3))


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_size_agrees(kind: str) -> None:
    twins = Twins(random_bundle(wearable_spec(kind)))
    presence = Presence.of((0, 2, 3), 5)
    names = presence.names(twins.bundle.spec.modality_names)
    windows = random_windows(twins.bundle.spec, names, batch=3)
    for ratio in (0.0, 0.8):
        twins.assert_agree(twins.builder.mask(presence, ratio), windows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", SPARSE_FORMS)
def test_long_windows_at_the_shipped_size_agree(kind: str, form: str) -> None:
    spec = wearable_spec(kind)
    shape = replace(spec.backbone, max_tokens=125, sparse_form=form, sparse_from=100)
    twins = Twins(random_bundle(replace(spec, backbone=shape)))
    windows = random_windows(spec, batch=2)
    for ratio in (0.0, 0.8):
        twins.assert_agree(twins.builder.mask(spec.full_presence, ratio), windows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sensor_that_never_moves_agrees(kind: str) -> None:
    twins = Twins(random_bundle(small_spec(kind=kind)))
    spec = twins.bundle.spec
    windows = {name: np.full_like(w, 0.3) for name, w in random_windows(spec).items()}

    twins.assert_agree(twins.builder.mask(spec.full_presence, 0.5), windows)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sensor_far_from_zero_agrees(kind: str) -> None:
    twins = Twins(random_bundle(small_spec(kind=kind)))
    spec = twins.bundle.spec
    windows = {name: 0.01 * w + 5 for name, w in random_windows(spec).items()}

    twins.assert_agree(twins.builder.mask(spec.full_presence, 0.0), windows)


def test_every_kind_has_its_parts_its_module_and_its_graphs() -> None:
    assert set(LAYOUTS) == set(BACKBONES) == set(GRAPH_FAMILIES) == set(KINDS)
