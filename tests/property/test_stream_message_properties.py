"""Whatever comes over a stream is read as written, or refused with a reason."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.api.stream.messages import End, Samples, read_message
from app.client.stream import encode
from app.errors import RequestError
from tests.bundles import small_spec

SPEC = small_spec(((12, 3), (10, 2)))
CHANNELS = {m.name: m.channels for m in SPEC.modalities}

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
times = st.none() | st.floats(-1e12, 1e12)


@st.composite
def samples(draw: st.DrawFn) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    names = draw(st.lists(st.sampled_from([*CHANNELS]), min_size=1, unique=True))
    return {
        name: draw(
            hnp.arrays(np.float32, (draw(st.integers(1, 5)), CHANNELS[name]), elements=finite)
        )
        for name in names
    }


@settings(deadline=None)
@given(sent=samples(), t=times)
def test_binary_and_text_say_the_same(
    sent: dict[str, np.ndarray[Any, np.dtype[np.float32]]], t: float | None
) -> None:
    text = json.dumps({"samples": {n: a.tolist() for n, a in sent.items()}, "t": t})
    for message in (encode(sent, t), text):
        found = read_message(message, SPEC)
        assert isinstance(found, Samples)
        assert found.first_s == t
        assert [*found.rows] == [*sent]
        for name, rows in sent.items():
            assert found.rows[name].dtype == np.float32
            np.testing.assert_array_equal(found.rows[name], rows)


def is_sound_or_refused(message: str | bytes) -> bool:
    """Whether a message is refused as a client's mistake, or read as what the windower takes."""
    try:
        found = read_message(message, SPEC)
    except RequestError:
        return True
    return isinstance(found, End) or all(
        rows.ndim == 2 and rows.shape[1] == CHANNELS[name] and bool(np.isfinite(rows).all())
        for name, rows in found.rows.items()
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*CHANNELS, "samples", "t", "end"]) | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(content=anything)
def test_any_json_is_samples_or_an_end_or_refused(content: object) -> None:
    text = json.dumps(content)
    header = text.encode()
    for message in (text, struct.pack("<I", len(header)) + header):
        assert is_sound_or_refused(message)


@settings(deadline=None)
@given(sent=samples(), damage=st.data())
def test_a_damaged_binary_message_is_read_or_refused(
    sent: dict[str, np.ndarray[Any, np.dtype[np.float32]]], damage: st.DataObject
) -> None:
    message = bytearray(encode(sent, 1.0))
    for _ in range(damage.draw(st.integers(1, 4))):
        at = damage.draw(st.integers(0, len(message) - 1))
        message[at] = damage.draw(st.integers(0, 255))
    cut = damage.draw(st.integers(0, len(message)))
    for received in (bytes(message), bytes(message[:cut])):
        assert is_sound_or_refused(received)
