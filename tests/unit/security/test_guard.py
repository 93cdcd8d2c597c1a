from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.errors import ForbiddenError, UnauthorisedError
from app.security import ANYBODY, Guard, KeyRing, Principal, new_key, presented_key

SECRET, KEY = new_key("gateway", frozenset({"infer", "read"}))
OLD_SECRET, OLD_KEY = new_key("old", frozenset({"infer"}), datetime(2030, 1, 1, tzinfo=UTC))


class Door:
    """A guard in the year 2031, and whom it turned away."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.guard = Guard(
            KeyRing((KEY, OLD_KEY)),
            on_refusal=self.refused.append,
            now=lambda: datetime(2031, 1, 1, tzinfo=UTC),
        )


def test_a_key_with_the_scope_is_let_in_by_name() -> None:
    door = Door()
    asked = door.guard.check(SECRET.encode(), "infer")
    assert asked == Principal("gateway", frozenset({"infer", "read"}))
    assert not door.refused


def test_a_missing_an_unknown_and_an_expired_key_are_told_apart() -> None:
    door = Door()
    with pytest.raises(UnauthorisedError, match="scope infer"):
        door.guard.check(None, "infer")
    with pytest.raises(UnauthorisedError, match="not known"):
        door.guard.check(b"guess", "infer")
    with pytest.raises(UnauthorisedError, match="old has expired"):
        door.guard.check(OLD_SECRET.encode(), "infer")
    assert door.refused == ["missing", "unknown", "expired"]


def test_a_key_without_the_scope_is_told_which_one_is_missing() -> None:
    door = Door()
    with pytest.raises(ForbiddenError, match="scope admin") as caught:
        door.guard.check(SECRET.encode(), "admin")
    assert caught.value.facts == {"scope": "admin"}
    assert door.refused == ["scope"]


def test_admin_implies_no_other_scope() -> None:
    secret, key = new_key("root", frozenset({"admin"}))
    with pytest.raises(ForbiddenError):
        Guard(KeyRing((key,))).check(secret.encode(), "read")


def test_a_refusal_never_repeats_what_was_presented() -> None:
    for presented in (b"guess-5f1e", OLD_SECRET.encode()):
        with pytest.raises(UnauthorisedError) as caught:
            Door().guard.check(presented, "infer")
        assert presented.decode() not in str(caught.value)


def test_without_keys_anybody_may_do_anything() -> None:
    assert Guard(None).check(None, "admin") == ANYBODY


def test_an_empty_ring_lets_nobody_in() -> None:
    with pytest.raises(UnauthorisedError):
        Guard(KeyRing(())).check(SECRET.encode(), "read")


def test_a_new_ring_takes_effect_at_once() -> None:
    door = Door()
    door.guard.ring = KeyRing(())
    with pytest.raises(UnauthorisedError):
        door.guard.check(SECRET.encode(), "infer")


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([(b"authorization", b"Bearer abc")], b"abc"),
        ([(b"authorization", b"bearer  abc ")], b"abc"),
        ([(b"x-api-key", b"abc")], b"abc"),
        ([(b"x-api-key", b"no"), (b"authorization", b"Bearer abc")], b"abc"),
        ([(b"authorization", b"Basic eDp5"), (b"x-api-key", b"abc")], b"abc"),
        ([(b"authorization", b"Basic eDp5")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"authorization", b"Bearer \xff")], b"\xff"),
        ([], None),
    ],
)
def test_where_a_key_is_looked_for(headers: list[tuple[bytes, bytes]], key: bytes | None) -> None:
    assert presented_key(headers) == key
