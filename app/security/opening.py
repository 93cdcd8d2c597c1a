"""From settings to a guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.security.guard import Guard, Refusal
from app.security.keyfile import KeyFollower, Reading
from app.security.keys import KeyRing


def open_guard(
    keys_file: Path | None,
    *,
    on_refusal: Callable[[Refusal], None],
    on_read: Callable[[Reading], None],
) -> tuple[Guard, KeyFollower | None]:
    """Return a guard, and what keeps its keys up to date.

    Args:
        keys_file: Where the keys are; None asks nobody for a key.
        on_refusal: Told why each time somebody is turned away.
        on_read: Told how each reading of the file went.

    Raises:
        ConfigError: The key file can't be used.
    """
    guard = Guard(None, on_refusal=on_refusal)
    if keys_file is None:
        return guard, None

    def use(ring: KeyRing) -> None:
        guard.ring = ring

    follower = KeyFollower(keys_file, use, on_read=on_read)
    follower.start()
    return guard, follower
