"""Where Redis is and how to be let in, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sentryfuse.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """Address, credentials and certificates of one Redis.

    Files are read again when they are replaced, so that secrets can be rotated.
    """

    url: str = field(repr=False)
    """``redis://``, ``rediss://`` (TLS) or ``unix://``; its query can't loosen timeouts or TLS."""
    username: str | None = None
    password_file: Path | None = None
    """Holds the password and nothing else, in the place of one in the URL."""
    ca_file: Path | None = None
    """Certificates to trust, and no others; the system's if not given."""
    cert_file: Path | None = None
    """Our own certificate, for a server that asks for one."""
    key_file: Path | None = None
    server_name: str | None = None
    """Name that the server's certificate must bear; the URL's host if not given."""

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("the Redis certificate and its key come together: give both files")
        tls = (self.ca_file, self.cert_file, self.server_name)
        if any(value is not None for value in tls) and not self.url.startswith("rediss://"):
            raise ConfigError("certificates and a server name for Redis need a rediss:// URL")
