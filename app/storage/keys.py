"""Every key that SentryFuse writes to a shared store."""

from __future__ import annotations

from dataclasses import dataclass

from sentryfuse.presence import Presence

PREFIX = "sentryfuse:1"
"""Application and version of the keys' layout: another version is another namespace, left alone.

Values have versions of their own (docs/decisions/0014).
"""

PROBE_KEY = f"{PREFIX}:probe"
"""Read to see whether Redis answers; nothing is ever stored there."""


def site_key(site: str) -> str:
    """Names the ledger of a site's power."""
    return f"{PREFIX}:site:{site}"


@dataclass(frozen=True, slots=True)
class MaskKey:
    """Names the mask of one presence and pruning ratio of one bundle.

    The bundle's digest is part of the key, so entries never change: another bundle is another
    set of keys, and old ones die by their time to live.
    """

    bundle_digest: str
    presence: Presence
    permille: int
    num_units: int
    """Units of the bundle's model: what a value read back is checked against."""

    @property
    def redis_key(self) -> str:
        """The key in a shared store."""
        return f"{PREFIX}:{self.bundle_digest}:mask:{self.presence.hex}:{self.permille}"


@dataclass(frozen=True, slots=True)
class ProfileKey:
    """Names the profile of one bundle on one kind of host."""

    bundle_digest: str
    fingerprint: str

    @property
    def redis_key(self) -> str:
        """The key in a shared store."""
        return f"{PREFIX}:{self.bundle_digest}:profile:{self.fingerprint}"
