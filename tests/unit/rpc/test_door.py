from __future__ import annotations

import pytest

from app.protocol.budgets import parse_budget
from app.rpc.door import address_of, timeout_header


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.1.2.3:4567", "10.1.2.3"),
        ("ipv6:%5B2001:db8::1%5D:4567", "2001:db8::1"),
        ("ipv6:[2001:db8::1]:4567", "2001:db8::1"),
        ("unix:", ""),
    ],
)
def test_a_caller_is_known_by_its_address(peer: str, address: str) -> None:
    assert address_of(peer) == address


@pytest.mark.parametrize("seconds", [1e-9, 0.0123456, 42.0, 99.9, 101.5, 86_400.0])
def test_what_is_left_of_a_deadline_is_a_budget_of_as_much(seconds: float) -> None:
    budget = parse_budget([(b"grpc-timeout", timeout_header(seconds))]).budget
    assert budget.latency_s == pytest.approx(seconds, rel=1e-3, abs=2e-6)
