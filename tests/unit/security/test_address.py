from __future__ import annotations

import pytest

from app.security.address import caller_of, client_address

PEER = "10.0.0.9"


def seen(stated: list[bytes], proxies: int) -> str:
    headers = [(b"x-forwarded-for", value) for value in stated]
    return client_address(PEER, headers, trusted_proxies=proxies)


def test_what_a_stranger_says_of_itself_counts_for_nothing() -> None:
    assert seen([b"1.2.3.4"], 0) == PEER


@pytest.mark.parametrize(
    ("stated", "proxies", "client"),
    [
        ([b"1.2.3.4"], 1, "1.2.3.4"),
        ([b"6.6.6.6, 1.2.3.4"], 1, "1.2.3.4"),
        ([b"6.6.6.6, 1.2.3.4, 10.0.0.1"], 2, "1.2.3.4"),
        ([b"6.6.6.6", b"1.2.3.4, 10.0.0.1"], 2, "1.2.3.4"),
        ([b"2001:DB8::1"], 1, "2001:db8::1"),
    ],
)
def test_behind_proxies_of_ours_the_outermost_names_the_client(
    stated: list[bytes], proxies: int, client: str
) -> None:
    assert seen(stated, proxies) == client


@pytest.mark.parametrize("stated", [[], [b""], [b"unknown"], [b"1.2.3.4:80"], [b"\xff"]])
def test_what_is_no_address_leaves_the_peer(stated: list[bytes]) -> None:
    assert seen(stated, 1) == PEER


def test_too_few_hops_leave_the_peer() -> None:
    assert seen([b"1.2.3.4"], 2) == PEER


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("", ""),
    ],
)
def test_whom_a_limit_by_address_counts(address: str, caller: str) -> None:
    assert caller_of(address) == caller
