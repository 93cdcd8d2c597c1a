from __future__ import annotations

import numpy as np
import pytest
import torch

from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError
from sentryfuse.learn.baselines import Calibration
from sentryfuse.presence import Presence
from sentryfuse.spec import ModalitySpec, Normalisation
from tests.unit.learn.baselines.toys import chance

NORMALISATION = {"a": Normalisation((1.0,), (2.0,)), "b": Normalisation((0.0,), (1.0,))}


def windows() -> WindowSet:
    """Thirty windows of three groups; every value names its window."""
    number = np.arange(30.0)[:, None, None]
    return WindowSet(
        name="numbers",
        arrays={"a": np.tile(number, (1, 4, 1)), "b": np.tile(number, (1, 2, 1))},
        label=np.arange(30) % 2,
        group=np.arange(30) // 10,
        class_names=("even", "odd"),
        modalities=tuple(
            ModalitySpec(name=n, length=length, channels=1, rate_hz=1.0)
            for n, length in (("a", 4), ("b", 2))
        ),
        meta={},
    )


def draw(groups: tuple[int, ...], count: int = 8) -> Calibration:
    return Calibration.draw(
        windows(), NORMALISATION, groups=groups, count=count, generator=chance()
    )


def test_windows_come_from_the_groups_named_and_no_others() -> None:
    drawn = draw((0, 2), count=20)
    numbers = drawn.inputs["b"][:, 0, 0].numpy()
    assert sorted(numbers) == [*range(10), *range(20, 30)]
    assert drawn.groups == {0, 2}


def test_windows_are_standardised_and_keep_their_labels() -> None:
    drawn = draw((1,))
    numbers = drawn.inputs["b"][:, 0, 0]
    torch.testing.assert_close(drawn.inputs["a"][:, 3, 0], (numbers - 1) / 2)
    torch.testing.assert_close(drawn.label, numbers.long() % 2)
    assert len(set(numbers.tolist())) == len(drawn) == 8


def test_held_out_groups_are_found_out() -> None:
    draw((0, 1)).require_apart_from([2])
    with pytest.raises(ConfigError, match=r"held-out groups \[1\]"):
        draw((0, 1), count=20).require_apart_from([1, 2])


def test_batches_hold_every_window_once_and_no_absent_modality() -> None:
    seen = list(draw((0,), count=10).batches(Presence(0b10, 2), size=4))
    assert [set(inputs) for inputs, _ in seen] == [{"b"}] * 3
    numbers = torch.cat([inputs["b"][:, 0, 0] for inputs, _ in seen])
    assert sorted(numbers.tolist()) == list(range(10))


@pytest.mark.parametrize(("groups", "count"), [((7,), 3), ((0,), 0)])
def test_an_empty_calibration_is_refused(groups: tuple[int, ...], count: int) -> None:
    with pytest.raises(ConfigError):
        draw(groups, count)
