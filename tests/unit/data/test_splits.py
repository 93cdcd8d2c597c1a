"""Splits keep every group on one side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sentryfuse.data.splits import Split, recommended_split
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError, DataError
from tests.unit.data.sets import window_set


def of_groups(*groups: int, split: Any = None) -> WindowSet:
    """Two windows of each group."""
    group = np.repeat(groups, 2)
    arrays = {"motion": np.zeros((len(group), 3, 1))}
    return window_set(arrays, group=group, meta={"recommended_split": split})


def test_listed_groups_are_used_as_listed() -> None:
    split = recommended_split(
        of_groups(*range(1, 9), split={"train": [5, 1, 2, 3, 4], "val": [6], "test": [7, 8]})
    )
    assert split == Split((1, 2, 3, 4, 5), (6,), (7, 8))


def test_ranges_in_prose_are_understood() -> None:
    split = recommended_split(
        of_groups(
            132539,
            147741,
            147742,
            152870,
            152871,
            163037,
            split={
                "train": "RecordID <= 147741 (set a and first half of set b, 6,000)",
                "val": "147742 <= RecordID <= 152870 (second half)",
                "test": "RecordID >= 152871 (set c, 4,000)",
            },
        )
    )
    assert split == Split((132539, 147741), (147742, 152870), (152871, 163037))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("0 < id < 3", (1, 2)),
        ("3 < id <= 5", (4, 5)),
        ("2 <= id < 4", (2, 3)),
        ("id > 7", (8, 9, 10)),
        ("1-3", (1, 2, 3)),
        ("1 \u2013 3, 5", (1, 2, 3, 5)),
        ("subjects 2 to 4 and 8", (2, 3, 4, 8)),
        ("group 5", (5,)),
    ],
)
def test_words_mean_these_groups(words: str, meant: tuple[int, ...]) -> None:
    split = {"train": words, "val": [-1], "test": [0]}
    windows = of_groups(*range(-1, 11), split=split)
    assert recommended_split(windows).train == meant


@pytest.mark.parametrize(
    "words",
    ["the rest", "", "id >= 2 and id <= 4", "id <= 3 or id >= 7", "every 3rd", "except 8"],
)
def test_words_that_are_not_understood_are_refused_rather_than_guessed(words: str) -> None:
    split = {"train": words, "val": [9], "test": [10]}
    with pytest.raises(DataError, match="neither a comparison"):
        recommended_split(of_groups(*range(1, 11), split=split))


@pytest.mark.parametrize("value", [None, 5, ["S01"], [1.5], [True], {"a": 1}])
def test_a_part_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match=r"toy: recommended_split\['test'\] must be a list"):
        recommended_split(of_groups(1, 2, 3, split={"train": [1], "val": [2], "test": value}))


def test_a_recommendation_that_is_no_object_is_refused() -> None:
    with pytest.raises(DataError, match="must be an object"):
        recommended_split(of_groups(1, 2, 3, split=[1, 2, 3]))


def test_a_group_in_two_parts_is_refused() -> None:
    with pytest.raises(DataError, match=r"groups \[2\] stand in two parts"):
        recommended_split(of_groups(1, 2, 3, split={"train": [1, 2], "val": [2], "test": [3]}))


def test_groups_that_the_data_lack_are_left_out() -> None:
    split = {"train": [1, 99], "val": [2], "test": [3]}
    assert recommended_split(of_groups(1, 2, 3, split=split)).train == (1,)


def test_a_part_with_no_group_in_the_data_is_refused() -> None:
    with pytest.raises(DataError, match=r"recommended_split\['val'\] is \[6\]: no such group"):
        recommended_split(of_groups(1, 2, 3, split={"train": [1, 2], "val": [6], "test": [3]}))


def test_without_a_recommended_val_a_fifth_of_the_training_groups_becomes_it() -> None:
    split = recommended_split(
        of_groups(*range(12), split={"train": list(range(10)), "test": "10-11"})
    )
    assert len(split.val) == 2
    assert sorted(split.train + split.val) == list(range(10))


def test_one_training_group_cannot_give_a_val() -> None:
    with pytest.raises(DataError, match="only one training group"):
        recommended_split(of_groups(1, 2, split={"train": [1], "test": [2]}))


def test_without_a_recommendation_the_split_is_60_20_20_and_always_the_same() -> None:
    split = recommended_split(of_groups(*range(100, 120)))
    assert [len(p) for p in (split.train, split.val, split.test)] == [12, 4, 4]
    assert split == recommended_split(of_groups(*reversed(range(100, 120))))


def test_two_groups_are_too_few() -> None:
    with pytest.raises(DataError, match="needs 3 groups or more"):
        recommended_split(of_groups(1, 2))


def test_a_split_with_an_empty_part_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one group in each"):
        Split((1,), (), (2,))
