"""Write an ONNX graph: name the tensors, collect nodes and constants, serialise.

Weights are most of a graph, so they go past protobuf, which would copy them five times: a
message is its fields one behind the other, each with its number and length, and the fields of
a repeated one may stand anywhere (protobuf.dev, Encoding).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from sentryfuse.variants.graphs.linear import Array, Linear

OPSET = 23
# The intermediate representation that came with opset 23; older engines refuse newer ones.
IR_VERSION = 11
_LENGTH_DELIMITED = 2  # protobuf's wire type of strings, bytes and messages

Attribute = int | float | str | Sequence[int]
Part = bytes | memoryview


class GraphWriter:
    """A graph under construction; tensors are handled by name.

    Names that the writer makes up have a dot, which no modality's name has.
    """

    def __init__(self) -> None:
        self._inputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[Part] = []
        self._num_constants = 0
        self._integers: dict[tuple[int, ...], str] = {}

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input ``[batch, *shape]``; the batch is free."""
        self._inputs.append(self._value(name, shape))
        return name

    def constant(self, values: Array) -> str:
        """Store float32 values in the graph."""
        return self._store(np.ascontiguousarray(values, dtype="<f4"), onnx.TensorProto.FLOAT)

    def integers(self, *values: int) -> str:
        """Store a vector of int64, once however often it is asked for."""
        if values not in self._integers:
            array = np.array(values, dtype="<i8")
            self._integers[values] = self._store(array, onnx.TensorProto.INT64)
        return self._integers[values]

    def integer(self, value: int) -> str:
        """Store one int64 as a scalar, which a vector of one is not."""
        return self._store(np.array(value, dtype="<i8"), onnx.TensorProto.INT64)

    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one output and return the output's name."""
        return self.nodes(op, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """Add one operation with several outputs and return their names."""
        number = len(self._nodes)
        names = [f"{op}.{number}.{i}" for i in range(outputs)]
        node = onnx.NodeProto(op_type=op, name=f"{op}.{number}", input=inputs, output=names)
        for name, value in attributes.items():
            node.attribute.append(helper.make_attribute(name, value))
        self._nodes.append(node)
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
        producer = next(n for n in reversed(self._nodes) if output in n.output)
        producer.output[:] = [name if o == output else o for o in producer.output]
        graph = onnx.GraphProto(
            name="sentryfuse",
            input=self._inputs,
            node=self._nodes,
            output=[self._value(name, shape)],
        )
        model = onnx.ModelProto(
            ir_version=IR_VERSION,
            producer_name="sentryfuse",
            opset_import=[onnx.OperatorSetIdProto(domain="", version=OPSET)],
        )
        parts = [graph.SerializeToString(), *self._constants]
        head = _head(onnx.ModelProto.GRAPH_FIELD_NUMBER, sum(map(len, parts)))
        return [model.SerializeToString(), head, *parts]

    def _value(self, name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
        float32 = onnx.TensorProto.FLOAT
        return helper.make_tensor_value_info(name, float32, ["batch", *shape])

    def _store(self, array: NDArray[np.generic], data_type: int) -> str:
        name = f"constant.{self._num_constants}"
        self._num_constants += 1
        about = onnx.TensorProto(name=name, dims=array.shape, data_type=data_type)
        values = array.reshape(-1).view(np.uint8).data
        tensor = about.SerializeToString() + _head(
            onnx.TensorProto.RAW_DATA_FIELD_NUMBER, len(values)
        )
        head = _head(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, len(tensor) + len(values))
        self._constants += [head + tensor, values]
        return name


def _head(field: int, length: int) -> bytes:
    """Return what stands before a field of so many bytes: its number and wire type, its length."""
    numbers, head = (field << 3 | _LENGTH_DELIMITED, length), bytearray()
    for number in numbers:
        while number > 0x7F:
            head.append(number & 0x7F | 0x80)
            number >>= 7
        head.append(number)
    return bytes(head)
