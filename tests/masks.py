"""Small masks for tests of whatever stores them."""

from __future__ import annotations

import numpy as np

from app.storage import MaskKey
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask

NUM_UNITS = 1003  # not a multiple of eight: the last byte is padded


def make_key(
    bundle_digest: str, *, bits: int = 0b10111, permille: int = 800, num_units: int = NUM_UNITS
) -> MaskKey:
    return MaskKey(bundle_digest, Presence(bits, 5), permille, num_units)


def make_mask(key: MaskKey, seed: int = 0) -> Mask:
    keep = np.random.default_rng([seed, key.presence.bits, key.permille]).random(key.num_units)
    return Mask(key.presence, key.permille, keep < 0.3)
