from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.inflating import Inflater, body_encoding
from app.errors import MalformedError, UnsupportedMediaError

TEXT = b'{"inputs": {}}' * 20


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def inflate(encoding: str, packed: bytes, *, limit: int = 10_000, step: int = 10_000) -> bytes:
    inflater = Inflater(encoding, limit)
    for start in range(0, len(packed), step):
        inflater.feed(packed[start : start + step])
    return inflater.finish()


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("gzip", gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:])),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", bare(TEXT)),
    ],
    ids=["gzip", "gzip in two parts", "deflate", "bare deflate"],
)
def test_what_was_packed_is_unpacked_however_it_comes(
    encoding: str, packed: bytes, step: int
) -> None:
    assert inflate(encoding, packed, step=step) == TEXT


def test_exactly_the_limit_is_unpacked_and_one_byte_more_is_too_much() -> None:
    for limit, full in ((len(TEXT), False), (len(TEXT) - 1, True)):
        inflater = Inflater("gzip", limit)
        inflater.feed(gzip.compress(TEXT))
        assert inflater.full is full


def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200 * 2**20), compresslevel=1)
    inflater = Inflater("gzip", 2**20)
    tracemalloc.start()
    inflater.feed(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert inflater.full
    # zlib's unconsumed tail is a copy of what was sent, which has its own limit.
    assert peak < 4 * 2**20 + 2 * len(bomb)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_body_that_was_cut_is_malformed(encoding: str, cut: int) -> None:
    packed = gzip.compress(TEXT) if encoding == "gzip" else zlib.compress(TEXT)
    with pytest.raises(MalformedError):
        inflate(encoding, packed[:-cut])


def test_what_follows_the_end_is_malformed() -> None:
    with pytest.raises(MalformedError):
        inflate("deflate", zlib.compress(TEXT) + b"x")
    with pytest.raises(MalformedError):
        inflate("gzip", gzip.compress(TEXT) + b"x")


@given(data=st.binary(max_size=300), encoding=st.sampled_from(["gzip", "deflate"]))
def test_noise_is_malformed_or_unpacked_and_nothing_else(data: bytes, encoding: str) -> None:
    with suppress(MalformedError):
        assert len(inflate(encoding, data)) <= 10_001


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        ([], None),
        ([b"identity"], None),
        ([b""], None),
        ([b"GZIP "], "gzip"),
        ([b"x-gzip"], "gzip"),
        ([b"deflate"], "deflate"),
    ],
)
def test_encodings_by_their_names(values: list[bytes], encoding: str | None) -> None:
    assert body_encoding([(b"content-encoding", value) for value in values]) == encoding


@pytest.mark.parametrize("values", [[b"br"], [b"gzip, gzip"], [b"gzip", b"gzip"], [b"\xff"]])
def test_other_encodings_are_refused_with_those_that_are_read(values: list[bytes]) -> None:
    with pytest.raises(UnsupportedMediaError, match="gzip or deflate"):
        body_encoding([(b"content-encoding", value) for value in values])
