"""Whatever the groups, no window leaks from one side of a split to another."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentryfuse.data.splits import recommended_split
from tests.unit.data.sets import window_set

group_columns = st.lists(
    st.integers(min_value=-(2**40), max_value=2**40), min_size=3, max_size=40
).filter(lambda groups: len(set(groups)) >= 3)


@given(groups=group_columns)
def test_each_window_is_on_exactly_one_side(groups: list[int]) -> None:
    rows = np.arange(len(groups), dtype=np.float64)[:, None, None]
    windows = window_set({"motion": rows}, group=np.array(groups))
    split = recommended_split(windows)
    sides = [windows.of_groups(part) for part in (split.train, split.val, split.test)]
    seen = np.concatenate([side.arrays["motion"].ravel() for side in sides])
    assert sorted(seen.tolist()) == rows.ravel().tolist()
    assert not set(sides[0].group) & (set(sides[1].group) | set(sides[2].group))
    assert not set(sides[1].group) & set(sides[2].group)


@given(groups=group_columns, low=st.integers(-50, 50), width=st.integers(0, 50))
def test_a_range_in_words_takes_whole_groups_and_only_those_inside(
    groups: list[int], low: int, width: int
) -> None:
    group = np.array([*groups, low, low + width])
    others = {int(g) for g in group} - set(range(low, low + width + 1))
    if len(others) < 2:
        return
    val, *test = sorted(others)
    meta = {
        "recommended_split": {"train": f"{low} <= id <= {low + width}", "val": [val], "test": test}
    }
    windows = window_set({"motion": np.zeros((len(group), 1, 1))}, group=group, meta=meta)
    train = windows.of_groups(recommended_split(windows).train)
    assert set(train.group) == set(group.tolist()) - others
