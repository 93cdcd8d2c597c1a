"""A mask: which units stay for one presence and pruning ratio, as reviewable data."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from sentryfuse.errors import ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.units import BoolArray

_MAGIC = b"SFMK"
MASK_VERSION = 2
"""Of the form that :meth:`Mask.to_bytes` writes."""
_DIGEST_BYTES = 16
_HEADER = struct.Struct(f"<4sBxxxI{_DIGEST_BYTES}s")


def permille(ratio: float) -> int:
    """Pruning ratio as an integer in [0, 999], the form used in keys and labels.

    Raises:
        ConfigError: ``ratio`` is not in [0, 1).
    """
    if not 0.0 <= ratio < 1.0:
        raise ConfigError(f"pruning ratio must be in [0, 1), got {ratio}")
    return min(round(ratio * 1000), 999)


@dataclass(frozen=True)
class Mask:
    """Units that stay, ``keep[u]`` True, for one (bundle, presence, ratio).

    Args:
        presence: Modalities the mask was made for.
        permille: Pruning ratio asked for, in thousandths.
        keep: ``[num_units]``; units of absent modalities are False.
    """

    presence: Presence
    permille: int
    keep: BoolArray

    def __post_init__(self) -> None:
        self.keep.setflags(write=False)

    @property
    def ratio(self) -> float:
        """Pruning ratio asked for."""
        return self.permille / 1000

    @cached_property
    def digest(self) -> str:
        """Hexadecimal digest of the bits; equal masks of two hosts have equal digests."""
        return _digest(np.packbits(self.keep).tobytes(), len(self.keep)).hex()

    def to_bytes(self, name: str) -> bytes:
        """Serialise as header (magic, version, unit count, digest) and packed bits.

        Args:
            name: What it is stored under; part of the digest, so that a mask that turns up under
                another name is found out.
        """
        bits = np.packbits(self.keep).tobytes()
        digest = _digest(bits, len(self.keep), name)
        return _HEADER.pack(_MAGIC, MASK_VERSION, len(self.keep), digest) + bits

    @classmethod
    def from_bytes(
        cls, data: bytes, name: str, *, presence: Presence, permille: int, num_units: int
    ) -> Mask:
        """Read :meth:`to_bytes`'s form, trusting nothing.

        Raises:
            MaskMismatchError: The bytes are cut, foreign, of another version, for another number
                of units, or their digest does not match them and their name.
        """
        if len(data) < _HEADER.size:
            raise MaskMismatchError(f"mask is cut short: {len(data)} bytes")
        magic, version, count, digest = _HEADER.unpack_from(data)
        bits = data[_HEADER.size :]
        if magic != _MAGIC or version != MASK_VERSION:
            raise MaskMismatchError(
                f"not a version {MASK_VERSION} mask: {magic!r} version {version}"
            )
        if count != num_units or len(bits) != (num_units + 7) // 8:
            raise MaskMismatchError(f"mask has {count} units, the model has {num_units}")
        if digest != _digest(bits, count, name):
            raise MaskMismatchError("mask digest does not match its bits and name")
        keep = np.unpackbits(np.frombuffer(bits, np.uint8), count=num_units).astype(np.bool_)
        return cls(presence, permille, keep)


def stored_version(data: bytes) -> int | None:
    """Return which version of a mask's form these bytes claim to be; None for none."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        return None
    return data[len(_MAGIC)]


def _digest(bits: bytes, count: int, name: str = "") -> bytes:
    # The number of bits says where they end and the name begins.
    content = count.to_bytes(4, "little") + bits + name.encode()
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()
