"""API keys as they are kept: by their hash, each with a name and what it is good for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from app.security.scopes import Scope
from sentryfuse.errors import ConfigError

MAX_KEYS = 256
"""Every key is compared with, so their number is bounded."""
_PREFIX = "sfk_"  # lets scanners for leaked secrets find one
_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"name", "scopes", "sha256", "expires"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key, without the secret itself.

    Raises:
        ConfigError: A field makes no sense.
    """

    name: str
    """Who the key is for, as it appears in the log."""
    scopes: frozenset[Scope]
    sha256: bytes
    """Of the whole key. Keys are 256 random bits, which nobody can guess at any speed: the slow
    hashes that passwords need would only make every request slow."""
    expires: datetime | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"name must be 1 to 64 letters, digits, dots, dashes or underscores, "
                f"got {self.name[:80]!r}"
            )
        if not self.scopes or not self.scopes <= {*get_args(Scope)}:
            raise ConfigError(
                f"scopes of {self.name} must be some of {', '.join(get_args(Scope))}, "
                f"got {', '.join(sorted(map(str, self.scopes))) or 'none'}"
            )
        if self.expires is not None and self.expires.tzinfo is None:
            raise ConfigError(f"expires of {self.name} needs a time zone, such as a Z at its end")

    def expired(self, now: datetime) -> bool:
        """Whether the key is no longer good."""
        return self.expires is not None and now >= self.expires

    def to_json(self) -> dict[str, Any]:
        """Return the key as it stands in a key file."""
        written: dict[str, Any] = {
            "name": self.name,
            "scopes": sorted(self.scopes),
            "sha256": self.sha256.hex(),
        }
        if self.expires is not None:
            written["expires"] = self.expires.astimezone(UTC).isoformat(timespec="seconds")
        return written


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a service.

    Raises:
        ConfigError: Two keys share a name or are the same, or there are too many.
    """

    keys: tuple[ApiKey, ...]

    def __post_init__(self) -> None:
        if len(self.keys) > MAX_KEYS:
            raise ConfigError(f"there may be {MAX_KEYS} keys, got {len(self.keys)}")
        names = [key.name for key in self.keys]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two keys are called {twice}")
        if len({key.sha256 for key in self.keys}) != len(self.keys):
            raise ConfigError("one key stands there under two names")

    def find(self, presented: bytes) -> ApiKey | None:
        """Return the key that was presented; the time it takes tells nothing about the keys."""
        digest = hashlib.sha256(presented).digest()
        found = None
        for key in self.keys:  # on past a match: no early exit
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the content of a key file."""
        return {"keys": [key.to_json() for key in self.keys]}


def new_key(
    name: str, scopes: frozenset[Scope], expires: datetime | None = None
) -> tuple[str, ApiKey]:
    """Make a key; return the secret, which is nowhere else, and what is kept of it."""
    random = base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b"=").decode()
    secret = _PREFIX + random
    digest = hashlib.sha256(secret.encode()).digest()
    return secret, ApiKey(name=name, scopes=scopes, sha256=digest, expires=expires)


def parse_keys(text: str | bytes) -> KeyRing:
    """Read a key file.

    Args:
        text: ``{"keys": [{"name", "scopes", "sha256", "expires"}, …]}`` as JSON; ``expires``
            (ISO 8601) may be left out.

    Raises:
        ConfigError: It is something else; the message says what, and never quotes a digest.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}") from None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ConfigError('must be an object {"keys": [...]}')
    return KeyRing(tuple(_parse_key(entry, number) for number, entry in enumerate(entries)))


def _parse_key(entry: object, number: int) -> ApiKey:
    if not isinstance(entry, dict):
        raise ConfigError(f"keys[{number}] must be an object")
    if unknown := entry.keys() - _FIELDS:
        raise ConfigError(f"keys[{number}] has no field {min(map(str, unknown))[:40]!r}")
    name, scopes, digest = entry.get("name"), entry.get("scopes"), entry.get("sha256")
    if not isinstance(name, str):
        raise ConfigError(f"keys[{number}] needs a name")
    if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
        raise ConfigError(f"scopes of {name[:64]!r} must be an array of strings")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ConfigError(f"sha256 of {name[:64]!r} must be 64 hexadecimal digits in lower case")
    return ApiKey(
        name=name,
        scopes=frozenset(scopes),
        sha256=bytes.fromhex(digest),
        expires=_parse_time(entry.get("expires"), name),
    )


def _parse_time(value: object, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise ConfigError(
            f"expires of {name[:64]!r} must be a time such as 2030-01-31T00:00:00Z"
        ) from None
