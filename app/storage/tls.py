"""A TLS context that follows its files: certificates are renewed while the service runs."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from sentryfuse.errors import ConfigError

logger = logging.getLogger(__name__)


class TlsClient:
    """Makes the context of a client that always checks whom it talks to.

    Args:
        ca_file: Certificates to trust, and no others; the system's if None.
        cert_file: Own certificate, and its ``key_file``.
        key_file: Its private key, without passphrase.

    Raises:
        ConfigError: A file is missing or holds something else.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
    ) -> None:
        self._ca_file, self._cert_file, self._key_file = ca_file, cert_file, key_file
        self._read = self._state()
        try:
            self._context = self._load()
        except (OSError, ValueError) as error:
            files = ", ".join(map(str, self._files()))
            raise ConfigError(f"the TLS files of Redis can't be used ({files}): {error}") from error

    def context(self) -> ssl.SSLContext:
        """Return the context, of the files as they are now; as they were, if they are broken."""
        state = self._state()
        if state != self._read:
            self._read = state
            try:
                self._context = self._load()
            except (OSError, ValueError) as error:
                logger.warning("new TLS files of Redis can't be used: %s", error)
            else:
                logger.info("the TLS files of Redis were read again")
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file)
        if self._cert_file is not None:
            # Without a passphrase at hand a locked key must fail, not ask on a terminal.
            context.load_cert_chain(self._cert_file, self._key_file, password=lambda: b"")
        return context

    def _files(self) -> list[Path]:
        files = (self._ca_file, self._cert_file, self._key_file)
        return [file for file in files if file is not None]

    def _state(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(map(_stamp, self._files()))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
