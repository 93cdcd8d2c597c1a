from __future__ import annotations

import itertools

import numpy as np
import pytest

from app.inference.batch import Run, assemble, joined, run, share_out
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant, VariantBuilder
from tests.bundles import random_bundle, random_windows

BUNDLE = random_bundle()
PRESENCE = Presence.of([0, 2], 5)
NAMES = PRESENCE.names(BUNDLE.spec.modality_names)


@pytest.fixture(scope="module")
def variant() -> Variant:
    builder = VariantBuilder(BUNDLE)
    return builder.build(builder.mask(PRESENCE, 0.5))


def windows(batch: int, seed: int) -> dict[str, np.ndarray]:
    return random_windows(BUNDLE.spec, NAMES, batch=batch, seed=seed)


def measured(variant: Variant, requests: list[dict[str, np.ndarray]], threads: int = 1) -> Run:
    ticks = itertools.count()
    return run(variant, requests, threads=threads, clock=lambda: float(next(ticks)))


def test_requests_in_one_batch_get_the_answers_they_get_alone(variant: Variant) -> None:
    requests = [windows(batch, seed) for seed, batch in enumerate((1, 3, 2))]
    together = measured(variant, requests).logits
    alone = np.concatenate([variant.run(one) for one in requests])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_rows_of_several_requests_stand_below_each_other() -> None:
    requests = [windows(batch, seed) for seed, batch in enumerate((1, 3, 2))]
    for name, rows in assemble(requests).items():
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, np.concatenate([one[name] for one in requests]))


def test_rows_shared_out_and_joined_are_those_of_one_run(variant: Variant) -> None:
    whole = windows(7, seed=1)
    shares = share_out(whole, 3)
    assert [len(share[NAMES[0]]) for share in shares] == [3, 2, 2]
    runs = [measured(variant, [share]) for share in shares]
    np.testing.assert_allclose(joined(runs).logits, variant.run(whole), rtol=1e-4, atol=1e-5)


def test_a_lone_request_is_not_copied() -> None:
    only = windows(2, seed=0)
    assert assemble([only]) is only


def test_shares_take_from_the_first_start_to_the_last_end_and_all_their_cpu_time() -> None:
    rows = np.zeros((1, 4), np.float32)
    both = joined([Run(rows, 1.0, 3.0, 1.5), Run(rows, 0.5, 2.0, 1.25)])
    assert (both.began_s, both.ended_s, both.latency_s, both.cpu_s) == (0.5, 3.0, 2.5, 2.75)


def test_a_run_is_measured_on_the_clock_and_on_the_thread(variant: Variant) -> None:
    once = measured(variant, [windows(1, seed=0)])
    assert once.latency_s == 1.0
    assert 0 < once.cpu_s < 1
