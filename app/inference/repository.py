"""The directory of bundles: ``NAME/VERSION/``, of which the highest version is served."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.errors import BundleError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Stored:
    """Where one version of one model is stored."""

    name: str
    version: str
    path: Path


def find_models(root: Path) -> tuple[Stored, ...]:
    """List the highest version of every model, by name.

    Raises:
        BundleError: ``root`` is no directory or holds no model.
    """
    if not root.is_dir():
        raise BundleError(f"SENTRYFUSE_MODELS: {root} is not a directory")
    found = [
        newest
        for entry in sorted(root.iterdir())
        if entry.is_dir() and _NAME.fullmatch(entry.name)
        if (newest := _newest(entry)) is not None
    ]
    if not found:
        raise BundleError(
            f"SENTRYFUSE_MODELS: {root} holds no model; put a bundle into {root}/NAME/1/"
        )
    return tuple(found)


def _newest(directory: Path) -> Stored | None:
    versions = [d for d in directory.iterdir() if d.is_dir() and _VERSION.fullmatch(d.name)]
    if not versions:
        return None
    newest = max(versions, key=lambda d: int(d.name))
    return Stored(directory.name, newest.name, newest)
