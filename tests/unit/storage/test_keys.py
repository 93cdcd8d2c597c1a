from __future__ import annotations

from app.storage import MaskKey, ProfileKey
from sentryfuse.presence import Presence


def test_a_mask_key_names_schema_bundle_presence_and_ratio() -> None:
    key = MaskKey("d1ge57", Presence(0b10111, 5), 800, 64)

    assert key.redis_key == "sentryfuse:1:d1ge57:mask:17:800"


def test_a_profile_key_names_schema_bundle_and_host() -> None:
    assert ProfileKey("d1ge57", "arm-4").redis_key == "sentryfuse:1:d1ge57:profile:arm-4"
