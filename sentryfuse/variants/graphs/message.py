"""Protocol buffers, as far as a graph needs them (protobuf.dev, Encoding).

A message is its fields one behind the other, each with its number and wire type; the fields of a
repeated one may stand anywhere. That is all there is to it, and it spares the service a library
of tens of megabytes for a handful of messages, and its weights five copies.
"""

from __future__ import annotations

import struct

_VARINT, _LENGTH_DELIMITED, _FIXED32 = 0, 2, 5
_WORD = 1 << 64
_SMALL = tuple(bytes((number,)) for number in range(0x80))


def field(number: int, value: int | float | str | bytes) -> bytes:
    """Write one field.

    Args:
        number: Of the field, at least 1.
        value: An int (any of protobuf's 64-bit integers, enums and booleans), a float (its
            32-bit ``float``), text, or bytes, which is also what a message within is.
    """
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return head(number, len(value)) + value
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value % _WORD)
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", value)


def head(number: int, length: int) -> bytes:
    """Write what stands before so many bytes of a field's content."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def _varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first; the eighth says that more follow."""
    if number <= 0x7F:
        return _SMALL[number]
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)
