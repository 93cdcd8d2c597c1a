"""Fetch an archive over HTTP: resumed after a break, checked, and in place whole or not at all."""

from __future__ import annotations

import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from sentryfuse.data.source import Progress
from sentryfuse.errors import DataError

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 18
# Attempts in a row that bring nothing.
_ATTEMPTS = 3
_TIMEOUT_S = 30.0
# Answers after which asking again may help; any other 4xx or 5xx is final.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class DownloadError(DataError):
    """An archive could not be fetched: no network, no such page, or it broke off too often."""


class _BrokenOffError(Exception):
    """The connection ended early; what arrived is kept."""


def download(
    url: str,
    target: Path,
    *,
    size_bytes: int,
    sha256_hex: str,
    progress: Progress = lambda done, total: None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch ``url`` into ``target`` unless it is there already and right.

    Bytes go to ``target`` + ``.partial`` first and are resumed from there, by this call or a later
    one; the checksum makes sure that the parts belong together.

    Args:
        url: ``http`` or ``https``.
        target: File to write.
        size_bytes: How large it must be.
        sha256_hex: What its SHA-256 must be.
        progress: Told how many bytes have arrived.
        pause: Called with the seconds to wait between attempts.

    Returns:
        ``target``.

    Raises:
        DownloadError: It cannot be fetched.
        DataError: What arrived is not what was expected.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"only http and https are fetched, got {url!r}")
    if target.exists():
        check_archive(target, size_bytes, sha256_hex)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    fruitless = 0
    while _size(partial) < size_bytes:
        before = _size(partial)
        try:
            _fetch_rest(url, partial, size_bytes, progress)
        except _BrokenOffError as error:
            fruitless = 0 if _size(partial) > before else fruitless + 1
            if fruitless == _ATTEMPTS:
                raise DownloadError(f"cannot fetch {url}: {error}") from error
            logger.info("fetching %s broke off (%s); trying again", url, error)
            pause(2.0**fruitless)
    try:
        check_archive(partial, size_bytes, sha256_hex)
    except DataError:
        partial.unlink()
        raise
    partial.replace(target)
    return target


def check_archive(path: Path, size_bytes: int, sha256_hex: str) -> None:
    """Compare a file with what is known of it.

    Raises:
        DataError: It is missing, or its size or SHA-256 differ.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            found = sha256()
            while chunk := file.read(_CHUNK_BYTES):
                found.update(chunk)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if size != size_bytes:
        raise DataError(f"{path}: has {size} bytes, the known archive has {size_bytes}")
    if found.hexdigest() != sha256_hex:
        raise DataError(
            f"{path}: SHA-256 is {found.hexdigest()}, the known archive's is {sha256_hex}"
        )


def _fetch_rest(url: str, partial: Path, size_bytes: int, progress: Progress) -> None:
    """Append what is still missing to ``partial``."""
    have = _size(partial)
    headers = {"User-Agent": "sentryfuse", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _open(urllib.request.Request(url, headers=headers)) as response:
        if response.status != HTTPStatus.PARTIAL_CONTENT or not _starts_at(response, have):
            have = 0  # the server sends it all again
        announced = response.length
        if announced is not None and have + announced != size_bytes:
            raise DownloadError(
                f"{url} has {have + announced} bytes, the known archive has {size_bytes}"
            )
        with partial.open("ab" if have else "wb") as file:
            while have <= size_bytes and (chunk := _read(response)):
                file.write(chunk)
                have += len(chunk)
                progress(have, size_bytes)
    if have < size_bytes:
        raise _BrokenOffError(f"{have} of {size_bytes} bytes arrived")


def _open(request: urllib.request.Request) -> HTTPResponse:
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _PASSING:
            raise _BrokenOffError(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(
            f"cannot fetch {request.full_url}: the server answers {error.code} {error.reason}"
        ) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _BrokenOffError(getattr(reason, "strerror", None) or str(reason)) from error
    return response


def _starts_at(response: HTTPResponse, offset: int) -> bool:
    return (response.headers["Content-Range"] or "").startswith(f"bytes {offset}-")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
