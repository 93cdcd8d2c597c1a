from __future__ import annotations

import weakref
from typing import Any, cast

import numpy as np
import pytest

from app.api.v2.forms import Forms
from app.inference.model import ServedModel
from app.inference.windows import Windows
from app.protocol.tensors import InferRequest, Tensor
from sentryfuse.presence import Presence

TEXT = b'{"inputs": "a and b"}'


class Model:
    """In place of a served model: all that is asked of it is to be itself."""


def met(**changes: Any) -> tuple[Forms, ServedModel, bytes]:
    """Forms that have met one request, whose inputs came in another order than the bundle's."""
    a, b = np.arange(6, dtype="<f4").reshape(1, 3, 2), np.arange(4, dtype="<f4").reshape(1, 2, 2)
    tail = b.tobytes() + a.tobytes()
    forms, model = Forms(), cast(ServedModel, Model())
    request = InferRequest(
        **{"inputs": (Tensor("b", "FP32", b), Tensor("a", "FP32", a)), **changes}
    )
    windows = Windows(inputs={"a": a, "b": b}, presence=Presence(3, 2), batch=1, id=request.id)
    forms.remember(model, TEXT, tail, request, windows)
    return forms, model, tail


def test_what_was_met_is_read_again_with_its_own_numbers() -> None:
    forms, model, tail = met()
    numbers = np.frombuffer(tail, "<f4") + 1
    found = forms.read(model, TEXT, numbers.astype("<f4").tobytes())
    assert found is not None
    request, windows = found
    assert list(windows.inputs) == ["a", "b"]
    np.testing.assert_array_equal(windows.inputs["b"].ravel(), numbers[:4])
    np.testing.assert_array_equal(windows.inputs["a"].ravel(), numbers[4:])
    assert windows.inputs["a"].shape == (1, 3, 2)
    assert (windows.presence, windows.batch, windows.id) == (Presence(3, 2), 1, None)
    assert request.inputs == ()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38])
def test_numbers_that_may_not_be_finite_take_the_ordinary_way(odd: float) -> None:
    forms, model, tail = met()
    numbers = np.frombuffer(tail, "<f4").copy()
    numbers[3] = odd

    assert forms.read(model, TEXT, numbers.tobytes()) is None


def test_another_length_header_or_model_takes_the_ordinary_way() -> None:
    forms, model, tail = met()

    assert forms.read(model, TEXT, tail[:-4]) is None
    assert forms.read(model, TEXT + b" ", tail) is None
    assert forms.read(cast(ServedModel, Model()), TEXT, tail) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "mine"},
        {"inputs": (Tensor("a", "FP64", np.zeros((1, 3, 2))),)},
        {"inputs": (Tensor("a", "FP32", np.zeros((1, 3, 2), "<f4")),)},
    ],
)
def test_what_will_not_come_again_or_is_no_bytes_is_not_remembered(changes: Any) -> None:
    forms, model, tail = met(**changes)

    assert forms.read(model, TEXT, tail) is None


def test_a_model_that_is_served_no_more_is_let_go() -> None:
    forms, model, _ = met()
    held = weakref.ref(model)
    del model

    assert held() is None
    assert forms is not None
