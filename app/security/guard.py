"""The check at the door, the same for HTTP, WebSocket and gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from app.errors import ForbiddenError, UnauthorisedError
from app.security.keys import KeyRing
from app.security.scopes import SCOPES, Scope

Refusal = Literal["missing", "unknown", "expired", "scope"]
_BEARER = b"bearer "


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    """Of the key; empty where no keys are asked for."""
    scopes: frozenset[Scope]


ANYBODY = Principal("", frozenset(SCOPES))
"""Who asks where no keys are asked for."""


class Guard:
    """Lets in who has a key with the right scope; everybody if there are no keys.

    Args:
        ring: The keys; None leaves everything open.
        on_refusal: Told why each time somebody is turned away.
        now: Wall time, for keys that expire.
    """

    def __init__(
        self,
        ring: KeyRing | None,
        *,
        on_refusal: Callable[[Refusal], None] = lambda _: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ring = ring
        """May be replaced at any time: keys are rotated without a restart."""
        self._on_refusal = on_refusal
        self._now = now

    def check(self, presented: bytes | None, needed: Scope) -> Principal:
        """Return who asks.

        Args:
            presented: The key that came with the request, see :func:`presented_key`.
            needed: What it has to be good for.

        Raises:
            UnauthorisedError: There is no key, or not one of ours, or it has expired.
            ForbiddenError: The key is not good for this.
        """
        if self.ring is None:
            return ANYBODY
        if presented is None:
            raise self._refused(
                "missing",
                UnauthorisedError(
                    f"this needs an API key with scope {needed}: send it as "
                    "'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
                ),
            )
        key = self.ring.find(presented)
        if key is None:
            raise self._refused("unknown", UnauthorisedError("the API key is not known here"))
        if key.expired(self._now()):
            raise self._refused("expired", UnauthorisedError(f"API key {key.name} has expired"))
        if needed not in key.scopes:
            held = ", ".join(sorted(key.scopes))
            raise self._refused(
                "scope",
                ForbiddenError(
                    f"this needs scope {needed}; API key {key.name} has {held}", scope=needed
                ),
            )
        return Principal(key.name, key.scopes)

    def _refused(
        self, why: Refusal, error: UnauthorisedError | ForbiddenError
    ) -> UnauthorisedError | ForbiddenError:
        self._on_refusal(why)
        return error


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Find the key among a request's headers, whose names are in lower case.

    ``Authorization: Bearer KEY`` goes before ``X-API-Key: KEY``; another authorization scheme is
    somebody else's, such as a proxy's in front of us.
    """
    key = None
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == _BEARER:
            return value[7:].strip()
        if name == b"x-api-key":
            key = value.strip()
    return key
