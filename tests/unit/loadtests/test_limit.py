"""The floor under a session: products as the profiler sees them, and what is made of them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.limit import (
    Product,
    large_product,
    nodes_alone,
    products_alone,
    profile_operators,
    take_turns,
)
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle, random_windows


def test_a_product_has_two_flops_for_each_multiply_accumulate() -> None:
    assert Product("Gemm", (3, 5), None, (3, 7)).flops == 2 * 3 * 5 * 7
    assert Product("MatMul", (2, 3, 5), (2, 5, 7), (2, 3, 7)).flops == 2 * 2 * 3 * 5 * 7


def test_the_profiler_finds_the_operators_and_products_of_a_variant() -> None:
    builder = VariantBuilder(random_bundle())
    spec = builder.bundle.spec
    mask = builder.mask(spec.full_presence, 0.0)
    operators, products, nodes = profile_operators(builder.graph(mask), random_windows(spec))
    assert {"Gemm", "MatMul", "Attention"} <= {*operators}
    assert nodes > len(products) > 10
    card = builder.build(mask).card
    counted = sum(product.flops for product in products)
    assert 0.5 * card.flops < counted <= 1.05 * card.flops


def test_products_alone_have_the_shapes_of_the_graph() -> None:
    products = [
        Product("Gemm", (3, 5), None, (3, 7)),
        Product("MatMul", (2, 3, 5), None, (2, 3, 4)),
        Product("MatMul", (2, 3, 5), (2, 5, 7), (2, 3, 7)),
    ]
    answers = products_alone(products)()
    assert [a.shape for a in answers] == [p.result for p in products]


def test_operators_that_have_nothing_to_do_all_run() -> None:
    (answer,) = nodes_alone(20)()
    assert answer == np.full(1, 20.0)


@pytest.mark.benchmark
def test_everything_has_its_turn_in_every_round() -> None:
    taken = take_turns({"product": large_product(), "nothing": lambda: None}, rounds=2)
    assert {name: len(seconds) for name, seconds in taken.items()} == {"product": 2, "nothing": 2}
    assert min(taken["product"]) > min(taken["nothing"]) > 0
