"""Statistics of windows and of their steps as graph nodes; twin of ``learn.nn.statistics``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sentryfuse.variants.graphs.onnx_message import DataType
from sentryfuse.variants.graphs.writer import GraphWriter

# As in the twin.
_VARIANCE_FLOOR = 1e-6
_CHANGE_FLOOR = 1e-3


def write_step_features(
    graph: GraphWriter, window: str, *, length: int, channels: int, step_length: int
) -> str:
    """Describe each step of ``[batch, channels, length]``: ``[batch, 3 * channels, steps]``."""
    steps = length // step_length
    if steps * step_length < length:
        window = _stretch(graph, window, 0, steps * step_length, axis=2)
    x = graph.reshape(window, -1, channels, steps, step_length)
    mean = graph.node("ReduceMean", x, graph.integers(3))
    centred = graph.node("Sub", x, mean)
    variance = graph.node("ReduceMean", graph.node("Mul", centred, centred), graph.integers(3))
    features = [mean, _log(graph, _root(graph, variance)), _log_change(graph, x, step_length, 3)]
    joined = graph.node("Concat", *features, axis=1)
    return graph.reshape(joined, -1, len(features) * channels, steps)


class WindowStatistics:
    """Writes what is asked for, each step once.

    Args:
        graph: Where the nodes go.
        window: ``[batch, columns, length]``, zero where nothing was measured.
        known: 1 where a value was measured, else 0, of the same shape; None if all were.
        length: Rows of a window.
    """

    def __init__(self, graph: GraphWriter, window: str, known: str | None, *, length: int) -> None:
        self._graph = graph
        self._window = window
        self._known = known
        self._length = length

    def write(self, names: Sequence[str]) -> str:
        """Return the named statistics, ``[batch, columns, statistics]``."""
        values = [getattr(self, f"_{name}") for name in names]
        return self._graph.node("Concat", *values, axis=2) if len(values) > 1 else values[0]

    @cached_property
    def _mean(self) -> str:
        return self._average(self._window)

    @cached_property
    def _variance(self) -> str:
        return self._average(self._graph.node("Mul", self._centred, self._centred))

    @cached_property
    def _deviation(self) -> str:
        return _root(self._graph, self._variance)

    @cached_property
    def _minimum(self) -> str:
        return self._extreme("ReduceMin", np.inf)

    @cached_property
    def _maximum(self) -> str:
        return self._extreme("ReduceMax", -np.inf)

    @cached_property
    def _log_deviation(self) -> str:
        return _log(self._graph, self._deviation)

    @cached_property
    def _slope(self) -> str:
        time = self._graph.constant(np.linspace(-1, 1, self._length))
        return self._average(self._graph.node("Mul", self._centred, time))

    @cached_property
    def _log_change(self) -> str:
        return _log_change(self._graph, self._window, self._length, 2)

    @cached_property
    def _last(self) -> str:
        assert self._known is not None
        graph = self._graph
        # Counted from 1, so that 0 is never; unknown values are zero, wherever they match.
        moments = graph.constant(np.arange(1.0, self._length + 1))
        moment = graph.node("Mul", self._known, moments)
        latest = graph.node("Equal", moment, self._over_time("ReduceMax", moment))
        of_latest = graph.node("Where", latest, self._window, graph.constant(np.zeros(1)))
        return self._over_time("ReduceSum", of_latest)

    @cached_property
    def _ever(self) -> str:
        assert self._known is not None
        return self._over_time("ReduceMax", self._known)

    @cached_property
    def _share(self) -> str:
        assert self._known is not None
        return self._over_time("ReduceMean", self._known)

    @cached_property
    def _centred(self) -> str:
        centred = self._graph.node("Sub", self._window, self._mean)
        return centred if self._known is None else self._graph.node("Mul", centred, self._known)

    @cached_property
    def _per_value(self) -> str:
        """One over the number of measured values, of which there may be none."""
        assert self._known is not None
        count = self._over_time("ReduceSum", self._known)
        at_least_one = self._graph.node("Max", count, self._graph.constant(np.ones(1)))
        return self._graph.node("Reciprocal", at_least_one)

    def _average(self, x: str) -> str:
        if self._known is None:
            return self._over_time("ReduceMean", x)
        return self._graph.node("Mul", self._over_time("ReduceSum", x), self._per_value)

    def _extreme(self, op: str, never: float) -> str:
        if self._known is None:
            return self._over_time(op, self._window)
        graph = self._graph
        known, any_known = (
            graph.node("Cast", x, to=DataType.BOOL) for x in (self._known, self._share)
        )
        candidates = graph.node("Where", known, self._window, graph.constant(np.full(1, never)))
        extreme = self._over_time(op, candidates)
        return graph.node("Where", any_known, extreme, graph.constant(np.zeros(1)))

    def _over_time(self, op: str, x: str) -> str:
        return self._graph.node(op, x, self._graph.integers(2))


def _root(graph: GraphWriter, variance: str) -> str:
    floor = graph.constant(np.full(1, _VARIANCE_FLOOR))
    return graph.node("Sqrt", graph.node("Add", variance, floor))


def _log(graph: GraphWriter, x: str) -> str:
    return graph.node("Log", x)


def _log_change(graph: GraphWriter, x: str, length: int, axis: int) -> str:
    """Logarithm of the mean absolute step from one value to the next, over the last axis."""
    later = _stretch(graph, x, 1, length, axis=axis)
    sooner = _stretch(graph, x, 0, length - 1, axis=axis)
    change = graph.node("Abs", graph.node("Sub", later, sooner))
    mean = graph.node("ReduceMean", change, graph.integers(axis))
    return _log(graph, graph.node("Add", mean, graph.constant(np.full(1, _CHANGE_FLOOR))))


def _stretch(graph: GraphWriter, x: str, begin: int, end: int, *, axis: int) -> str:
    return graph.node("Slice", x, *(graph.integers(n) for n in (begin, end, axis)))
