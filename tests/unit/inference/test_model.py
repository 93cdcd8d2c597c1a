from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sentryfuse.presence import Presence, all_presences
from tests.served import served_model

FULL = Presence.full(5)


@pytest.fixture
def builders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as threads:
        yield threads


def warm_keys(builders: ThreadPoolExecutor, **settings: object) -> list[tuple[Presence, int]]:
    return served_model(builders=builders, **settings).warm_keys()


def test_the_full_presence_is_warm_at_every_ratio(builders: ThreadPoolExecutor) -> None:
    keys = warm_keys(builders, ratios=(0.0, 0.5, 0.9))
    assert [permille for presence, permille in keys if presence == FULL] == [0, 500, 900]


def test_whatever_is_missing_something_small_is_warm(builders: ThreadPoolExecutor) -> None:
    keys = warm_keys(builders, ratios=(0.0, 0.5, 0.75), warm_ratio=0.8)
    others = {presence: permille for presence, permille in keys if presence != FULL}
    assert others.keys() == {*all_presences(5)} - {FULL}
    assert {*others.values()} == {750}


def test_every_ratio_of_every_presence_can_be_kept_warm(builders: ThreadPoolExecutor) -> None:
    keys = warm_keys(builders, ratios=(0.0, 0.5), warm_all=True)
    assert sorted(keys) == sorted((p, r) for p in all_presences(5) for r in (0, 500))


def test_no_more_is_warmed_than_may_stay_in_memory(builders: ThreadPoolExecutor) -> None:
    keys = warm_keys(builders, max_variants=8)
    assert len(keys) == 8
    assert max(presence.num_missing for presence, _ in keys) == 1


def test_presences_with_more_sensors_missing_may_be_left_cold(
    builders: ThreadPoolExecutor,
) -> None:
    keys = warm_keys(builders, warm_missing=1)
    assert {presence.num_missing for presence, _ in keys} == {0, 1}
