from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import pytest

from app.api.body import check_is_json, read_body
from app.errors import BodyTooLargeError, ClientGoneError, UnsupportedMediaError


class Sender:
    """A client that sends these chunks, and counts how many were taken."""

    def __init__(self, *chunks: bytes, complete: bool = True) -> None:
        self._messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        end = {"type": "http.request", "body": b""} if complete else {"type": "http.disconnect"}
        self._messages.append(end)
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return self._messages[self.taken - 1]


def read(sender: Sender, *, limit: int = 10, headers: list[tuple[bytes, bytes]] | None = None):
    return asyncio.run(read_body(headers or [], sender.receive, limit=limit))


def test_a_body_in_pieces_is_put_together() -> None:
    assert read(Sender(b"abc", b"", b"def")) == b"abcdef"


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert read(Sender(b"x" * 10)) == b"x" * 10


def test_a_body_that_admits_to_be_too_large_is_not_read_at_all() -> None:
    sender = Sender(b"x" * 11)
    with pytest.raises(BodyTooLargeError, match="at most 10 bytes") as caught:
        read(sender, headers=[(b"content-length", b"11")])
    assert sender.taken == 0
    assert caught.value.facts == {"limit_bytes": 10}


def test_a_body_that_turns_out_too_large_is_read_no_further() -> None:
    sender = Sender(*[b"x" * 6] * 50)
    with pytest.raises(BodyTooLargeError):
        read(sender)
    assert sender.taken == 2


def test_a_client_that_goes_away_is_noticed() -> None:
    with pytest.raises(ClientGoneError):
        read(Sender(b"abc", complete=False))


@pytest.mark.parametrize(
    "value",
    [
        b"application/json",
        b"Application/JSON; charset=UTF-8",
        b'application/json; charset="utf-8"',
        b"application/problem+json",
    ],
)
def test_json_is_taken_under_its_names(value: bytes) -> None:
    check_is_json([(b"content-type", value)])


@pytest.mark.parametrize(
    "value",
    [b"", b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=utf-16"],
)
def test_other_types_are_refused_and_shown(value: bytes) -> None:
    with pytest.raises(UnsupportedMediaError, match="must be application/json") as caught:
        check_is_json([(b"content-type", value)])
    assert caught.value.facts["received"] == value.decode()


def test_a_body_without_a_type_is_refused() -> None:
    with pytest.raises(UnsupportedMediaError):
        check_is_json([])


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_a_compressed_body_is_unpacked(encoding: bytes) -> None:
    pack = gzip.compress if encoding == b"gzip" else zlib.compress
    packed = pack(b"x" * 100)
    sender = Sender(packed[:5], packed[5:])
    assert read(sender, limit=100, headers=[(b"content-encoding", encoding)]) == b"x" * 100


def test_a_bomb_is_refused_at_the_limit_and_read_no_further() -> None:
    packed = gzip.compress(bytes(50_000))
    sender = Sender(packed[:30], *[packed[30:]] * 5)
    with pytest.raises(BodyTooLargeError):
        read(sender, limit=100, headers=[(b"content-encoding", b"gzip")])
    assert sender.taken <= 2


def test_an_encoding_that_is_not_read_here_is_refused_before_anything_is_read() -> None:
    sender = Sender(b"x")
    with pytest.raises(UnsupportedMediaError, match="br"):
        read(sender, headers=[(b"content-encoding", b"br")])
    assert sender.taken == 0
