import numpy as np
from numpy.typing import NDArray

from sentryfuse.variants.graphs.stream import Stream, turn_stream

Doubles = NDArray[np.float64]
WIDTH, TIME = 6, 4
STREAM = Stream(
    width=WIDTH,
    writers=["write"],
    positions=["position"],
    norms={"norm": ["read"]},
    merges=["merge"],
)


def _weights() -> dict[str, Doubles]:
    rng = np.random.default_rng(0)
    shapes = {
        "write.weight": (WIDTH, 3),
        "write.bias": (WIDTH,),
        "position": (TIME, WIDTH),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "read.weight": (5, WIDTH),
        "read.bias": (5,),
        "merge.weight": (7, 2 * WIDTH),
        "merge.bias": (7,),
    }
    return {name: rng.normal(1.0, 1.0, shape) for name, shape in shapes.items()}


def _tokens(weights: dict[str, Doubles]) -> Doubles:
    inputs = np.random.default_rng(1).normal(size=(TIME, 3))
    return inputs @ weights["write.weight"].T + weights["write.bias"] + weights["position"]


def _root_mean_square(x: Doubles) -> Doubles:
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)


def test_an_rms_norm_of_the_turned_stream_is_read_like_the_layer_norm() -> None:
    weights = _weights()
    x = _tokens(weights)
    normed = _root_mean_square(x - x.mean(axis=1, keepdims=True))
    normed = normed * weights["norm.weight"] + weights["norm.bias"]

    turned = turn_stream(weights, STREAM)

    read = _root_mean_square(_tokens(turned)) @ turned["read.weight"].T + turned["read.bias"]
    expected = normed @ weights["read.weight"].T + weights["read.bias"]
    np.testing.assert_allclose(read, expected, rtol=0, atol=1e-7)


def test_a_merge_reads_the_mean_as_well() -> None:
    weights = _weights()
    turned = turn_stream(weights, STREAM)

    pairs, turned_pairs = (_tokens(w).reshape(-1, 2 * WIDTH) for w in (weights, turned))

    merged = turned_pairs @ turned["merge.weight"].T
    np.testing.assert_allclose(merged, pairs @ weights["merge.weight"].T, rtol=0, atol=1e-12)


def test_a_reader_of_a_norm_is_blind_to_the_mean() -> None:
    assert not turn_stream(_weights(), STREAM)["read.weight"][:, -1].any()


def test_the_weights_given_are_left_as_they_were() -> None:
    weights, before = _weights(), _weights()

    turn_stream(weights, STREAM)

    for name, values in before.items():
        np.testing.assert_array_equal(weights[name], values)


def test_a_norm_may_have_neither_scale_nor_shift() -> None:
    weights = _weights()
    plain = {n: w for n, w in weights.items() if not n.startswith("norm")}
    neutral = weights | {"norm.weight": np.ones(WIDTH), "norm.bias": np.zeros(WIDTH)}

    turned, expected = (turn_stream(w, STREAM) for w in (plain, neutral))

    for name, values in expected.items():
        np.testing.assert_array_equal(turned[name], values)
