"""The file the keys are in: followed while the service runs, and changed by the command line."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from app.security.keys import KeyRing, parse_keys
from sentryfuse.errors import ConfigError

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 2**20
_PERIOD_S = 1.0

Stamp = tuple[int, int, int]
Reading = Literal["ok", "failed"]


def read_keys(path: Path) -> KeyRing:
    """Read a key file.

    Raises:
        ConfigError: It can't be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"key file {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"key file {path}: larger than {MAX_FILE_BYTES} bytes")
    try:
        return parse_keys(content)
    except ConfigError as error:
        raise ConfigError(f"key file {path}: {error}") from None


class KeyFollower:
    """Has a changed key file take effect within about a second.

    A file that is broken or gone changes nothing: the keys that were good stay good, the log says
    what is wrong, and once it is mended the new keys come in.

    Args:
        path: The key file.
        use: Called with the keys after each change.
        on_read: Told how each reading went.
    """

    def __init__(
        self,
        path: Path,
        use: Callable[[KeyRing], None],
        *,
        on_read: Callable[[Reading], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._use = use
        self._on_read = on_read
        self._seen: Stamp | None = None

    def start(self) -> None:
        """Read the file for the first time.

        Raises:
            ConfigError: It can't be used; a service does not start without the keys it was told
                to have.
        """
        self._seen = _stamp(self._path)
        self._take(read_keys(self._path))

    async def follow(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            await self.look()

    async def look(self) -> None:
        """Take in the file if it has changed."""
        stamp = await asyncio.to_thread(_stamp, self._path)
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            ring = await asyncio.to_thread(read_keys, self._path)
        except ConfigError as error:
            self._on_read("failed")
            logger.error("the keys stay as they are: %s", error)
            return
        self._take(ring)

    def _take(self, ring: KeyRing) -> None:
        self._use(ring)
        self._on_read("ok")
        logger.info("%d API keys: %s", len(ring.keys), ", ".join(key.name for key in ring.keys))


def edit_keys(path: Path, change: Callable[[KeyRing], KeyRing]) -> None:
    """Change a key file, one at a time, so that a reader sees the old or the new one.

    Args:
        path: The key file; made, for its owner alone, if it is not there.
        change: From the keys that are there to those that shall be.

    Raises:
        ConfigError: The file holds something else.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = read_keys(path) if path.exists() else KeyRing(())
        after = change(before)
        if after != before:
            _replace(path, after)
    finally:
        os.close(folder)


def _replace(path: Path, ring: KeyRing) -> None:
    target = path.resolve()  # a link stays a link
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False) as file:
        try:
            json.dump(ring.to_json(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def _stamp(path: Path) -> Stamp | None:
    """Return what changes whenever the file does; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
