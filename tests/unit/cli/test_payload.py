"""JSON windows are read exactly, or refused with the modality named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sentryfuse.cli.payload import parse_payload, write_payload
from sentryfuse.errors import InputError
from tests.bundles import random_windows, small_spec

SPEC = small_spec(((3, 2), (1, 1)))


def parse(inputs: Any) -> dict[str, np.ndarray]:
    return parse_payload(json.dumps({"inputs": inputs}), SPEC)


def test_a_window_and_a_batch_of_windows_are_read() -> None:
    rows = [[1, 2], [3, 4], [5, 6.5]]
    assert parse({"sensor_0": rows})["sensor_0"].tolist() == [rows]
    assert parse({"sensor_0": [rows, rows]})["sensor_0"].tolist() == [rows, rows]


def test_null_and_left_out_mean_absent() -> None:
    assert list(parse({"sensor_0": None, "sensor_1": [[1]]})) == ["sensor_1"]


def test_modalities_come_in_the_order_of_the_model() -> None:
    inputs = {"sensor_1": [[1]], "sensor_0": [[1, 2]] * 3}
    assert list(parse(inputs)) == ["sensor_0", "sensor_1"]


def test_what_is_written_reads_back_to_six_digits() -> None:
    windows = {name: window[0] for name, window in random_windows(SPEC).items()}
    text = write_payload(windows, "simulated")
    assert "\n" not in text
    for name, window in parse_payload(text, SPEC).items():
        np.testing.assert_allclose(window[0], windows[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({}, "no modality is present"),
        ({"sensor_0": None}, "no modality is present"),
        ({"nose": [[1]]}, "unknown modality 'nose'"),
        ([], "must be an object"),
        ({"sensor_0": [[1, 2]] * 4}, r"sensor_0 must be \[3, 2\] .* got shape \[4, 2\]"),
        ({"sensor_0": [[1, 2, 3]] * 3}, r"got shape \[3, 3\]"),
        ({"sensor_0": [[1, 2], [3], [4, 5]]}, "got uneven rows"),
        ({"sensor_0": [["1", "2"]] * 3}, "got something else"),
        ({"sensor_0": [[1, None]] * 3}, "got something else"),
        ({"sensor_0": [[True, False]] * 3}, "got something else"),
        ({"sensor_0": 5}, r"got shape \[\]"),
        ({"sensor_0": "hello"}, "got something else"),
        ({"sensor_0": {"a": 1}}, "got something else"),
        ({"sensor_0": []}, r"got shape \[0\]"),
        ({"sensor_0": [[1e39, 0]] * 3}, "not finite in float32"),
        ({"sensor_0": [[float("nan"), 0]] * 3}, "not finite in float32"),
        ({"sensor_0": [[[1, 2]] * 3] * 2, "sensor_1": [[1]]}, "needs the same batch"),
    ],
)
def test_windows_that_do_not_fit_are_refused(inputs: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse(inputs)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "5", '{"inputs": 5}', "\ud800"])
def test_what_is_no_payload_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_payload(text, SPEC)
