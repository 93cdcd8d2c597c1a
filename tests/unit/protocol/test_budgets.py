from __future__ import annotations

import pytest

from app.errors import HeaderError
from app.protocol.budgets import parse_budget
from app.scheduling import Budget

NAMES = (
    "X-Latency-Budget-Ms",
    "X-Energy-Budget-mJ",
    "X-Power-Budget-W",
    "X-Accuracy-Floor",
    "x-envoy-expected-rq-timeout-ms",
    "x-request-timeout-seconds",
)


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").lower().encode(), v.encode()) for name, v in values.items()]


def test_no_header_is_no_budget() -> None:
    assert parse_budget(headers(host="here", accept="*/*")).budget == Budget()


def test_each_budget_comes_out_in_base_units() -> None:
    wanted = parse_budget(
        headers(
            x_latency_budget_ms="5",
            x_energy_budget_mj="2.5e1",
            x_power_budget_w="7.",
            x_accuracy_floor=".8",
        )
    )
    assert wanted.budget == Budget(
        latency_s=0.005, energy_j=0.025, power_w=7.0, accuracy_floor=0.8, strict=False
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5m", 0.005), ("2S", 2.0), ("1H", 3600.0), ("3M", 180.0), ("70u", 7e-5), ("99n", 9.9e-8)],
)
def test_grpc_timeout_is_read_in_all_its_units(value: str, seconds: float) -> None:
    assert parse_budget(headers(grpc_timeout=value)).budget.latency_s == pytest.approx(seconds)


def test_the_smallest_latency_budget_wins() -> None:
    wanted = parse_budget(
        headers(
            x_latency_budget_ms="50",
            grpc_timeout="40m",
            x_envoy_expected_rq_timeout_ms="30",
            x_request_timeout_seconds="2",
        )
    )
    assert wanted.budget.latency_s == pytest.approx(0.03)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value",
    ["abc", "", "0", "-1", "nan", "inf", "1e400", "1e-400", "1_0", "0x1", "5, 3", "5ms", "\u00b2"],
)
def test_a_bad_value_is_refused_by_the_name_of_its_header(name: str, value: str) -> None:
    with pytest.raises(HeaderError, match=name) as caught:
        parse_budget([(name.lower().encode(), value.encode())])
    assert caught.value.facts["header"] == name


@pytest.mark.parametrize("value", ["", "5", "m", "123456789m", "-5m", "0m", "5x", "1.5S"])
def test_a_bad_grpc_timeout_is_refused(value: str) -> None:
    with pytest.raises(HeaderError, match="grpc-timeout"):
        parse_budget(headers(grpc_timeout=value))


def test_an_accuracy_floor_above_one_is_refused() -> None:
    with pytest.raises(HeaderError, match="at most 1"):
        parse_budget(headers(x_accuracy_floor="1.01"))


@pytest.mark.parametrize("name", [*NAMES, "grpc-timeout"])
def test_a_header_sent_twice_is_refused(name: str) -> None:
    value = b"1m" if name == "grpc-timeout" else b"1"
    with pytest.raises(HeaderError, match=name):
        parse_budget([(name.lower().encode(), value)] * 2)


@pytest.mark.parametrize(
    "value",
    [
        "handling=strict",
        "HANDLING = Strict",
        'handling="strict"',
        "respond-async, handling=strict; a=b",
        "wait=5, handling=strict, handling=lenient",
    ],
)
def test_prefer_strict_is_understood_however_it_is_written(value: str) -> None:
    wanted = parse_budget(headers(prefer=value))
    assert wanted.budget.strict
    assert wanted.handling == "strict"


@pytest.mark.parametrize("value", ["", "respond-async", "handling=loose", "xhandling=strict"])
def test_preferences_that_are_not_ours_are_ignored(value: str) -> None:
    wanted = parse_budget(headers(prefer=value))
    assert wanted.handling is None
    assert not wanted.budget.strict


def test_of_several_prefer_headers_the_first_with_a_handling_counts() -> None:
    sent = [
        (b"prefer", b"wait=1"),
        (b"prefer", b"handling=lenient"),
        (b"prefer", b"handling=strict"),
    ]
    assert parse_budget(sent).handling == "lenient"


@pytest.mark.parametrize(
    ("value", "minimal", "applied"),
    [
        ("return=minimal", True, "return=minimal"),
        ('Return = "Minimal"; a=b, wait=1', True, "return=minimal"),
        ("return=minimal, handling=strict", True, "handling=strict, return=minimal"),
        ("return=representation", False, ""),
        ("xreturn=minimal", False, ""),
        ("handling=lenient", False, "handling=lenient"),
    ],
)
def test_an_answer_may_be_asked_for_without_plan_and_receipt(
    value: str, minimal: bool, applied: str
) -> None:
    wanted = parse_budget(headers(prefer=value))
    assert wanted.minimal is minimal
    assert wanted.applied == applied
    assert parse_budget([(b"prefer", b"wait=1"), (b"prefer", value.encode())]).minimal is minimal


@pytest.mark.parametrize(
    ("value", "least", "applied"),
    [
        ("energy=least", True, "energy=least"),
        ('Energy = "Least"; a=b, wait=1', True, "energy=least"),
        ("return=minimal, energy=least", True, "energy=least, return=minimal"),
        ("energy=least, handling=strict", True, "handling=strict, energy=least"),
        ("energy=most", False, ""),
        ("xenergy=least", False, ""),
    ],
)
def test_the_least_energy_may_be_preferred(value: str, least: bool, applied: str) -> None:
    wanted = parse_budget(headers(prefer=value))
    assert wanted.budget.least_energy is least
    assert wanted.budget.energy_j is None
    assert wanted.applied == applied


def test_a_cascade_is_off_unless_asked_for() -> None:
    assert parse_budget([]).cascade is None
    assert parse_budget([(b"sentryfuse-cascade", b"0.9")]).cascade == 0.9


@pytest.mark.parametrize("value", ["abc", "", "0", "1", "1.5", "-0.5", "nan", "inf", "0.9, 0.8"])
def test_a_confidence_that_is_no_share_is_refused_by_the_name_of_its_header(value: str) -> None:
    with pytest.raises(HeaderError, match="SentryFuse-Cascade must be a number above 0") as caught:
        parse_budget([(b"sentryfuse-cascade", value.encode())])
    assert caught.value.facts["header"] == "SentryFuse-Cascade"


def test_a_cascade_sent_twice_is_refused() -> None:
    with pytest.raises(HeaderError, match="more than once"):
        parse_budget([(b"sentryfuse-cascade", b"0.9")] * 2)


def test_a_budget_too_small_for_a_double_is_still_a_budget() -> None:
    assert parse_budget([(b"x-energy-budget-mj", b"5e-324")]).budget.energy_j
