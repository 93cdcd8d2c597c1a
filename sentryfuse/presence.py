"""Which modalities of a bundle are present: a value object over a bit mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from sentryfuse.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Presence:
    """A set of modalities; bit i of ``bits`` is modality i of the bundle.

    Args:
        bits: Bit mask, ``1 <= bits < 2 ** size``: at least one modality is present.
        size: How many modalities the bundle has.

    Raises:
        ConfigError: The mask is empty or names a modality the bundle lacks.
    """

    bits: int
    size: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits < 1 << self.size:
            raise ConfigError(
                f"presence bits must be in [1, {(1 << self.size) - 1}] "
                f"for {self.size} modalities, got {self.bits}"
            )

    @classmethod
    def full(cls, size: int) -> Presence:
        """Return the presence of all ``size`` modalities."""
        return cls((1 << size) - 1, size)

    @classmethod
    def of(cls, indices: Iterable[int], size: int) -> Presence:
        """Return the presence of the modalities with these indices."""
        return cls(sum(1 << i for i in set(indices)), size)

    @classmethod
    def named(cls, present: Iterable[str], modalities: Sequence[str]) -> Presence:
        """Return the presence of the modalities with these names.

        Raises:
            ConfigError: A name is unknown, or none was given.
        """
        names = list(present)
        unknown = [name for name in names if name not in modalities]
        if unknown:
            raise ConfigError(f"unknown modality {unknown[0]!r}; the model has {list(modalities)}")
        if not names:
            raise ConfigError(f"no modality is present; the model has {list(modalities)}")
        return cls.of((modalities.index(name) for name in names), len(modalities))

    @classmethod
    def from_hex(cls, text: str, size: int) -> Presence:
        """Parse the form written by :attr:`hex`.

        Raises:
            ConfigError: ``text`` is not hexadecimal or out of range.
        """
        try:
            bits = int(text, 16)
        except ValueError as error:
            raise ConfigError(f"presence must be hexadecimal, got {text!r}") from error
        return cls(bits, size)

    @property
    def hex(self) -> str:
        """The mask in hexadecimal, padded to the bundle's width: ``1f`` for five of five."""
        return f"{self.bits:0{(self.size + 3) // 4}x}"

    @property
    def indices(self) -> tuple[int, ...]:
        """Indices of the modalities that are present, ascending."""
        return _indices(self.bits)

    @property
    def num_missing(self) -> int:
        """How many modalities are absent."""
        return self.size - self.bits.bit_count()

    def names(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """Names of the modalities that are present, in the bundle's order."""
        return tuple([modalities[i] for i in self.indices])

    def __contains__(self, index: int) -> bool:
        return 0 <= index < self.size and bool(self.bits >> index & 1)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return self.bits.bit_count()


@lru_cache(maxsize=4096)
def _indices(bits: int) -> tuple[int, ...]:
    return tuple(i for i in range(bits.bit_length()) if bits >> i & 1)


def all_presences(size: int, num_missing: int | None = None) -> tuple[Presence, ...]:
    """List the ``2 ** size - 1`` presences, or those that miss ``num_missing`` modalities.

    The order is fixed: fewest missing first, then ascending bits.
    """
    levels = range(size) if num_missing is None else (num_missing,)
    return tuple(
        presence
        for missing in levels
        for presence in sorted(
            Presence.of(kept, size) for kept in combinations(range(size), size - missing)
        )
    )
