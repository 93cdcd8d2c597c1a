from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.security.keys import MAX_KEYS, ApiKey, KeyRing, new_key, parse_keys
from sentryfuse.errors import ConfigError

DIGEST = "ab" * 32


def entry(**changed: object) -> dict[str, Any]:
    return {"name": "gateway", "scopes": ["infer"], "sha256": DIGEST, **changed}


def parse(*entries: object) -> KeyRing:
    return parse_keys(json.dumps({"keys": entries}))


def test_a_new_key_is_found_by_its_secret_and_by_nothing_else() -> None:
    secret, key = new_key("gateway", frozenset({"infer"}))
    ring = KeyRing((new_key("other", frozenset({"read"}))[1], key))
    assert ring.find(secret.encode()) is key
    assert ring.find(secret[:-1].encode()) is None
    assert ring.find(b"") is None


def test_a_key_has_256_random_bits_and_is_kept_as_its_hash_alone() -> None:
    secret, key = new_key("gateway", frozenset({"infer"}))
    assert len(secret.removeprefix("sfk_")) == 43
    assert key.sha256 == hashlib.sha256(secret.encode()).digest()
    assert secret not in json.dumps(key.to_json())
    assert new_key("gateway", frozenset({"infer"}))[0] != secret


def test_what_is_written_is_read_again() -> None:
    expires = datetime(2030, 1, 31, tzinfo=UTC)
    keys = [new_key("a", frozenset({"infer", "read"}), expires), new_key("b", frozenset({"admin"}))]
    ring = KeyRing(tuple(key for _, key in keys))
    assert parse_keys(json.dumps(ring.to_json())) == ring


def test_a_key_is_good_until_it_expires() -> None:
    key = parse(entry(expires="2030-01-31T00:00:00Z")).keys[0]
    assert not key.expired(datetime(2030, 1, 30, 23, 59, tzinfo=UTC))
    assert key.expired(datetime(2030, 1, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"name": 5}, "needs a name"),
        ({"name": "two words"}, "letters, digits"),
        ({"name": "line\nbreak"}, "letters, digits"),
        ({"scopes": "infer"}, "array of strings"),
        ({"scopes": []}, "got none"),
        ({"scopes": ["write"]}, "got write"),
        ({"sha256": DIGEST[:-1]}, "64 hexadecimal"),
        ({"sha256": None}, "64 hexadecimal"),
        ({"expires": 5}, "such as 2030"),
        ({"expires": "tomorrow"}, "such as 2030"),
        ({"expires": "2030-01-31T00:00:00"}, "time zone"),
        ({"scope": ["infer"]}, "no field 'scope'"),
    ],
)
def test_a_wrong_entry_is_named_and_its_digest_not_quoted(
    changed: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        parse(entry(**changed))
    assert DIGEST[:-1] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"keys": {}}', '{"keys": [5]}', "[" * 9999])
def test_what_is_no_key_file_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_keys(text)


def test_two_keys_may_not_share_a_name_or_a_secret() -> None:
    with pytest.raises(ConfigError, match="two keys are called gateway"):
        parse(entry(), entry(sha256="cd" * 32))
    with pytest.raises(ConfigError, match="two names"):
        parse(entry(), entry(name="other"))


def test_the_number_of_keys_is_bounded() -> None:
    keys = tuple(
        ApiKey(name=f"k{i}", scopes=frozenset({"read"}), sha256=i.to_bytes(32))
        for i in range(MAX_KEYS + 1)
    )
    assert KeyRing(keys[:-1])
    with pytest.raises(ConfigError, match="256 keys"):
        KeyRing(keys)
