"""Who may ask for what, free of any protocol: keys, scopes, and how often."""

from __future__ import annotations

from app.security.admission import Admission
from app.security.guard import ANYBODY, Guard, Principal, presented_key
from app.security.keyfile import KeyFollower
from app.security.keys import ApiKey, KeyRing, new_key, parse_keys
from app.security.opening import open_guard
from app.security.scopes import SCOPES, Scope, scope_of

__all__ = [
    "ANYBODY",
    "SCOPES",
    "Admission",
    "ApiKey",
    "Guard",
    "KeyFollower",
    "KeyRing",
    "Principal",
    "Scope",
    "new_key",
    "open_guard",
    "parse_keys",
    "presented_key",
    "scope_of",
]
