"""From JSON to frozen dataclasses, by their annotations.

Members that a dataclass does not know are left out, so that a newer service may say more.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from app.client.errors import ProtocolError
from app.client.wire import Reply, T

_Read = Callable[[Any], Any]


def load_json(reply: Reply) -> Any:
    """Parse the body of an answer.

    Raises:
        ProtocolError: It is not JSON.
    """
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the answer is not JSON: {error}") from error


def read(kind: Callable[..., T], content: Any) -> T:
    """Make a value of this dataclass.

    Raises:
        ProtocolError: A member is missing or is of another type; says which.
    """
    try:
        value: T = _reader(kind)(content)
    except _Mismatch as mismatch:
        raise ProtocolError(f"the answer is not understood: {mismatch}") from None
    return value


class _Mismatch(Exception):  # noqa: N818  (becomes a ProtocolError)
    """Where the answer is not as expected, and how."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def __str__(self) -> str:
        return f"{self.path.lstrip('.') or 'the whole'} {self.problem}"

    def within(self, name: str) -> _Mismatch:
        return _Mismatch(self.problem, f".{name}{self.path}")


@cache
def _reader(kind: Any) -> _Read:
    """Return what reads values of this type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object_reader(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _optional(_reader(inner))
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None and _is_mapping(origin):
        return _mapping_reader(arguments[1])
    if origin is Literal:
        return _scalar(str)
    return (lambda content: content) if kind is Any else _scalar(kind)


def _is_mapping(origin: Any) -> bool:
    """Say whether an annotation's origin is a mapping."""
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _object_reader(kind: Any) -> _Read:
    hints = get_type_hints(kind)
    members = [
        (f.name, _reader(hints[f.name]), f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
    ]

    def read_object(content: Any) -> Any:
        _expect(content, dict, "an object")
        values = {}
        for name, reader, needed in members:
            if name in content:
                values[name] = _within(name, reader, content[name])
            elif needed:
                raise _Mismatch("is missing", f".{name}")
        return kind(**values)

    return read_object


def _tuple_reader(arguments: tuple[Any, ...]) -> _Read:
    reader = _reader(arguments[0])
    length = None if arguments[-1] is Ellipsis else len(arguments)

    def read_tuple(content: Any) -> tuple[Any, ...]:
        _expect(content, list, "an array")
        if length is not None and len(content) != length:
            raise _Mismatch(f"should have {length} entries and has {len(content)}")
        return tuple(_within(str(i), reader, entry) for i, entry in enumerate(content))

    return read_tuple


def _mapping_reader(kind: Any) -> _Read:
    reader = _reader(kind)

    def read_mapping(content: Any) -> Mapping[str, Any]:
        _expect(content, dict, "an object")
        return types.MappingProxyType(
            {name: _within(name, reader, entry) for name, entry in content.items()}
        )

    return read_mapping


def _optional(reader: _Read) -> _Read:
    return lambda content: None if content is None else reader(content)


def _scalar(kind: type) -> _Read:
    def read_scalar(content: Any) -> Any:
        if kind is float and type(content) is int:
            return float(content)
        if type(content) is not kind:
            raise _Mismatch(f"should be {kind.__name__} and is {type(content).__name__}")
        return content

    return read_scalar


def _expect(content: Any, kind: type, words: str) -> None:
    if not isinstance(content, kind):
        raise _Mismatch(f"should be {words} and is {type(content).__name__}")


def _within(name: str, reader: _Read, content: Any) -> Any:
    try:
        return reader(content)
    except _Mismatch as mismatch:
        raise mismatch.within(name) from None
