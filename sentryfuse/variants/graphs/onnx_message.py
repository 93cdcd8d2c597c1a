"""The messages of the ONNX format that a graph is made of, with the numbers of their fields.

Source: onnx.proto of ONNX 1.18 (intermediate representation 11); numbers never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sentryfuse.variants.graphs.message import field, head

Attribute = int | float | str | Sequence[int]


class DataType(IntEnum):
    """TensorProto.DataType, those in use."""

    FLOAT = 1
    INT64 = 7
    BOOL = 9


class _Kind(IntEnum):
    """AttributeProto.AttributeType, those in use."""

    FLOAT = 1
    INT = 2
    STRING = 3
    INTS = 7


_GRAPH, _RAW_DATA, _INITIALIZER = 7, 9, 5


def node(
    op: str,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    attributes: dict[str, Attribute],
) -> bytes:
    """NodeProto: one operation."""
    parts = [field(1, x) for x in inputs]
    parts += (field(2, y) for y in outputs)
    parts += (field(3, name), field(4, op))
    parts += (field(5, _attribute(key, value)) for key, value in attributes.items())
    return b"".join(parts)


def _attribute(name: str, value: Attribute) -> bytes:
    """AttributeProto."""
    kind, content = _Kind.INTS, b""
    if isinstance(value, int):
        kind, content = _Kind.INT, field(3, value)
    elif isinstance(value, float):
        kind, content = _Kind.FLOAT, field(2, value)
    elif isinstance(value, str):
        kind, content = _Kind.STRING, field(4, value)
    else:
        content = b"".join(field(8, int(i)) for i in value)
    return field(1, name) + content + field(20, kind)


def value_info(name: str, shape: Sequence[int | str]) -> bytes:
    """ValueInfoProto of a float32 tensor; a size that is a name is free."""
    sizes = (field(1, field(2 if isinstance(size, str) else 1, size)) for size in shape)
    tensor = field(1, DataType.FLOAT) + field(2, b"".join(sizes))
    return field(1, name) + field(2, field(1, tensor))


def initializer_head(name: str, shape: Sequence[int], kind: DataType, length: int) -> bytes:
    """Write what stands before the raw values of a constant within a graph.

    Args:
        name: Of the tensor.
        shape: Of the tensor.
        kind: Of its elements.
        length: Bytes of its values, little-endian, row by row.
    """
    about = b"".join(field(1, size) for size in shape)
    about += field(2, kind) + field(8, name) + head(_RAW_DATA, length)
    return head(_INITIALIZER, len(about) + length) + about


def graph(name: str, nodes: Sequence[bytes], inputs: Sequence[bytes], output: bytes) -> bytes:
    """GraphProto, but for its constants: they may follow."""
    parts = [field(1, each) for each in nodes]
    parts.append(field(2, name))
    parts += (field(11, each) for each in inputs)
    return b"".join(parts) + field(12, output)


def model_head(*, ir_version: int, opset: int, producer: str, graph_bytes: int) -> bytes:
    """ModelProto, but for its graph of so many bytes, which must follow."""
    version = field(8, field(1, "") + field(2, opset))
    return field(1, ir_version) + field(2, producer) + version + head(_GRAPH, graph_bytes)
