"""Write an ONNX graph: name the tensors, collect nodes and constants, serialise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.variants.graphs import onnx_message
from sentryfuse.variants.graphs.linear import Array, Linear
from sentryfuse.variants.graphs.onnx_message import Attribute, DataType

OPSET = 23
# The intermediate representation that came with opset 23; older engines refuse newer ones.
IR_VERSION = 11
_NAME = "sentryfuse"

Part = bytes | memoryview


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: list[str]
    attributes: dict[str, Attribute]


class GraphWriter:
    """A graph under construction; tensors are handled by name.

    Names that the writer makes up have a dot, which no modality's name has.
    """

    def __init__(self) -> None:
        self._inputs: list[bytes] = []
        self._nodes: list[_Node] = []
        self._constants: list[Part] = []
        self._num_constants = 0
        self._integers: dict[tuple[int, ...], str] = {}

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input ``[batch, *shape]``; the batch is free."""
        self._inputs.append(onnx_message.value_info(name, ("batch", *shape)))
        return name

    def constant(self, values: Array) -> str:
        """Store float32 values in the graph."""
        return self._store(np.ascontiguousarray(values, dtype="<f4"), DataType.FLOAT)

    def integers(self, *values: int) -> str:
        """Store a vector of int64, once however often it is asked for."""
        if values not in self._integers:
            array = np.array(values, dtype="<i8")
            self._integers[values] = self._store(array, DataType.INT64)
        return self._integers[values]

    def integer(self, value: int) -> str:
        """Store one int64 as a scalar, which a vector of one is not."""
        return self._store(np.array(value, dtype="<i8"), DataType.INT64)

    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one output and return the output's name."""
        return self.nodes(op, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """Add one operation with several outputs and return their names."""
        number = len(self._nodes)
        names = [f"{op}.{number}.{i}" for i in range(outputs)]
        self._nodes.append(_Node(op, f"{op}.{number}", inputs, [*names], attributes))
        return names

    def reshape(self, x: str, *shape: int) -> str:
        """Give ``x`` another shape; one size may be -1, which is how the batch stays free."""
        return self.node("Reshape", x, self.integers(*shape))

    def linear(self, x: str, map_: Linear) -> str:
        """Apply an affine map to rows ``[rows, inputs]``."""
        weight, bias = self.constant(map_.weight), self.constant(map_.bias)
        return self.node("Gemm", x, weight, bias, transB=1)

    def serialise(self, output: str, *, name: str, shape: Sequence[int]) -> list[Part]:
        """Return the model's bytes, in parts that are to be joined.

        Args:
            output: Tensor to give out.
            name: Name it is given out under.
            shape: Its shape after the batch.
        """
        producer = next(n for n in reversed(self._nodes) if output in n.outputs)
        producer.outputs[:] = [name if o == output else o for o in producer.outputs]
        nodes = [
            onnx_message.node(n.op, n.name, n.inputs, n.outputs, n.attributes) for n in self._nodes
        ]
        given = onnx_message.value_info(name, ("batch", *shape))
        parts = [onnx_message.graph(_NAME, nodes, self._inputs, given), *self._constants]
        head = onnx_message.model_head(
            ir_version=IR_VERSION,
            opset=OPSET,
            producer=_NAME,
            graph_bytes=sum(map(len, parts)),
        )
        return [head, *parts]

    def _store(self, array: NDArray[np.generic], kind: DataType) -> str:
        name = f"constant.{self._num_constants}"
        self._num_constants += 1
        values = array.reshape(-1).view(np.uint8).data
        head = onnx_message.initializer_head(name, array.shape, kind, len(values))
        self._constants += [head, values]
        return name
