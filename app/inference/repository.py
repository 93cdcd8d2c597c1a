"""The directory of bundles, ``NAME/VERSION/``: what is stored, whether it is served or not.

A name or version that somebody asks for is looked up in what the directory lists. No path is ever
made of it, so there is no text that leads out of the directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.errors import UnknownModelError
from sentryfuse.errors import BundleError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9]{1,9}")
_SHOWN = 64

Shelf = Mapping[str, tuple["Stored", ...]]
"""Every version of every model: names in order, each one's newest version first."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one version of one model is stored."""

    name: str
    version: str
    path: Path


def find_models(root: Path) -> Shelf:
    """List what is stored.

    Raises:
        BundleError: ``root`` is no directory or holds no model.
    """
    if not root.is_dir():
        raise BundleError(f"SENTRYFUSE_MODELS: {root} is not a directory")
    found = {
        entry.name: versions
        for entry in sorted(root.iterdir())
        if _NAME.fullmatch(entry.name) and (versions := _versions(entry))
    }
    if not found:
        raise BundleError(
            f"SENTRYFUSE_MODELS: {root} holds no model; put a bundle into {root}/NAME/1/"
        )
    return found


def _versions(directory: Path) -> tuple[Stored, ...]:
    try:
        entries = list(directory.iterdir())
    except OSError:  # no directory, or it went away while we looked
        return ()
    found = [
        Stored(directory.name, entry.name, entry)
        for entry in entries
        if _VERSION.fullmatch(entry.name) and entry.is_dir()
    ]
    return tuple(sorted(found, key=lambda s: int(s.version), reverse=True))


def pick(shelf: Shelf, name: str, version: str | None = None) -> tuple[Stored, ...]:
    """Return what is stored under a name, the newest version first, or one version of it.

    Raises:
        UnknownModelError: There is none; says what there is.
    """
    stored = shelf.get(name)
    if stored is None:
        raise UnknownModelError(
            f"no model {name[:_SHOWN]!r} is stored; there is {', '.join(shelf) or 'none'}",
            models=list(shelf),
        )
    if version is None:
        return stored
    for one in stored:
        if one.version == version:
            return (one,)
    there = [one.version for one in stored]
    raise UnknownModelError(
        f"no version {version[:_SHOWN]!r} of model {name} is stored; there is {', '.join(there)}",
        versions=there,
    )
