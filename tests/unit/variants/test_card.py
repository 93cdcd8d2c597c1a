import dataclasses

import pytest

from sentryfuse.presence import Presence, all_presences
from sentryfuse.variants import VariantBuilder
from tests.bundles import PERMILLES, random_bundle


@pytest.fixture(scope="module")
def builder() -> VariantBuilder:
    return VariantBuilder(random_bundle())


def test_an_unpruned_variant_keeps_everything(builder: VariantBuilder) -> None:
    for presence in all_presences(5, num_missing=3):
        card = builder.build(builder.mask(presence, 0.0)).card
        ratios = {n: v for n, v in dataclasses.asdict(card).items() if n.endswith("_kept_ratio")}
        assert set(ratios.values()) == {1.0}


def test_a_card_states_the_inventorys_costs(builder: VariantBuilder) -> None:
    mask = builder.mask(Presence(0b01101, 5), 0.5)

    card = builder.build(mask).card

    cost = builder.inventory.cost(mask.presence, mask.keep)
    assert (card.flops, card.parameters) == (cost.flops, cost.parameters)
    assert (card.presence, card.permille, card.mask_digest) == (mask.presence, 500, mask.digest)


def test_a_card_expects_the_accuracy_of_the_bundles_table(builder: VariantBuilder) -> None:
    presence = Presence(0b01101, 5)

    card = builder.build(builder.mask(presence, 0.57)).card

    assert card.expected_accuracy == builder.bundle.accuracy.expected(presence, 570)


def test_every_ratio_falls_as_more_is_pruned(builder: VariantBuilder) -> None:
    cards = [builder.build(builder.mask(Presence.full(5), p / 1000)).card for p in PERMILLES]

    for name in ("units", "parameters", "bytes", "flops"):
        kept = [getattr(card, f"{name}_kept_ratio") for card in cards]
        assert kept == sorted(kept, reverse=True)
        assert 0 < kept[-1] < kept[0] == 1.0


def test_bytes_are_compared_with_the_unpruned_graph_even_if_it_was_never_built() -> None:
    fresh, other = (VariantBuilder(random_bundle()) for _ in range(2))
    presence = Presence(0b00011, 5)

    pruned = fresh.build(fresh.mask(presence, 0.5)).card

    dense = other.build(other.mask(presence, 0.0)).card
    assert pruned.bytes_kept_ratio == pruned.memory_bytes / dense.memory_bytes
