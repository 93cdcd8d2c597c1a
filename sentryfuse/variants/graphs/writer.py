"""Write an ONNX graph: name the tensors, collect nodes and constants, serialise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentryfuse.variants.graphs.linear import Linear, Weights

if TYPE_CHECKING:
    import onnx

OPSET = 23
# The intermediate representation that came with opset 23; older engines refuse newer ones.
IR_VERSION = 11

Attribute = int | float | str | Sequence[int]


class GraphWriter:
    """A graph under construction; tensors are handled by name.

    ``onnx`` is imported when a writer is made and not with this module: it is needed for
    building only, and costs start-up time and memory.
    """

    def __init__(self) -> None:
        import onnx
        from onnx import helper

        self._onnx = onnx
        self._helper = helper
        self._inputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._integers: dict[tuple[int, ...], str] = {}

    @property
    def num_nodes(self) -> int:
        """Nodes written so far."""
        return len(self._nodes)

    def input(self, name: str, shape: Sequence[int]) -> str:
        """Declare a float32 input ``[batch, *shape]``; the batch is free."""
        self._inputs.append(self._value(name, shape))
        return name

    def constant(self, values: NDArray[np.floating]) -> str:
        """Store float32 values in the graph."""
        return self._store(np.ascontiguousarray(values, dtype="<f4"), self._onnx.TensorProto.FLOAT)

    def integers(self, *values: int) -> str:
        """Store a vector of int64, once however often it is asked for."""
        if values not in self._integers:
            array = np.array(values, dtype="<i8")
            self._integers[values] = self._store(array, self._onnx.TensorProto.INT64)
        return self._integers[values]

    def node(self, op: str, *inputs: str, **attributes: Attribute) -> str:
        """Add an operation with one output and return the output's name."""
        return self.nodes(op, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op: str, *inputs: str, outputs: int, **attributes: Attribute) -> list[str]:
        """Add one operation with several outputs and return their names."""
        number = len(self._nodes)
        names = [f"{op}_{number}_{i}" for i in range(outputs)]
        node = self._onnx.NodeProto(op_type=op, name=f"{op}_{number}", input=inputs, output=names)
        for name, value in attributes.items():
            node.attribute.append(self._helper.make_attribute(name, value))
        self._nodes.append(node)
        return names

    def reshape(self, x: str, *shape: int) -> str:
        """Give ``x`` another shape; one size may be -1, which is how the batch stays free."""
        return self.node("Reshape", x, self.integers(*shape))

    def linear(self, x: str, map_: Linear) -> str:
        """Apply an affine map to rows ``[rows, inputs]``."""
        weight, bias = self.constant(map_.weight), self.constant(map_.bias)
        return self.node("Gemm", x, weight, bias, transB=1)

    def layer_norm(self, x: str, weights: Weights, name: str) -> str:
        """Normalise the last axis; torch and ONNX share the default epsilon."""
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return self.node(
            "LayerNormalization", x, self.constant(scale), self.constant(shift), axis=-1
        )

    def serialise(self, output: str, *, name: str, shape: Sequence[int]) -> bytes:
        """Return the model's bytes.

        Args:
            output: Tensor to give out.
            name: Name it is given out under.
            shape: Its shape after the batch.
        """
        producer = next(n for n in reversed(self._nodes) if output in n.output)
        producer.output[:] = [name if o == output else o for o in producer.output]
        graph = self._onnx.GraphProto(
            name="sentryfuse",
            input=self._inputs,
            node=self._nodes,
            initializer=self._constants,
            output=[self._value(name, shape)],
        )
        model = self._onnx.ModelProto(
            ir_version=IR_VERSION,
            producer_name="sentryfuse",
            graph=graph,
            opset_import=[self._onnx.OperatorSetIdProto(domain="", version=OPSET)],
        )
        data: bytes = model.SerializeToString()
        return data

    def _value(self, name: str, shape: Sequence[int]) -> onnx.ValueInfoProto:
        float32 = self._onnx.TensorProto.FLOAT
        return self._helper.make_tensor_value_info(name, float32, ["batch", *shape])

    def _store(self, array: NDArray[np.generic], data_type: int) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(
            self._onnx.TensorProto(
                name=name, dims=array.shape, data_type=data_type, raw_data=array.tobytes()
            )
        )
        return name
