"""The files of a page: read once, sent compressed, and only if the browser has them no more."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from app.api.page import policy

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and compressed."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str


def read_assets(folder: Path) -> Mapping[str, Asset]:
    """Read every file of a page, by name."""
    return {path.name: _read(path) for path in sorted(folder.iterdir()) if path.suffix in _TYPES}


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(
        content=content,
        packed=gzip.compress(content, mtime=0),
        media_type=_TYPES[path.suffix],
        etag=f'W/"{hashlib.sha256(content).hexdigest()[:20]}"',  # weak: the same, compressed or not
    )


def send_asset(asset: Asset, asked: Headers) -> Response:
    """Answer a request for a file; a browser asks each time whether the one it has is still good.

    Args:
        asset: The file.
        asked: Headers of the request.
    """
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(script="'self'", style="'self'", image="'self'"),
        "ETag": asset.etag,
        "Referrer-Policy": "no-referrer",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    held = {tag.strip() for tag in asked.get("if-none-match", "").split(",")}
    if asset.etag in held or "*" in held:
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    content = asset.content
    if accepts_gzip(asked):
        content = asset.packed
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=asset.media_type)


def accepts_gzip(asked: Headers) -> bool:
    """Whether a client takes compressed answers."""
    for offer in asked.get("accept-encoding", "").lower().split(","):
        coding, _, quality = offer.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return quality.strip("0.") != "" or not quality
    return False
