"""What became of one request: read from the raw exchange after the run, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from loadtests.exchange import Exchange

NO_STATUS = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request; times count from the start of the schedule, in seconds."""

    scheduled_s: float
    sent_s: float | None = None
    first_byte_s: float | None = None
    status: int = NO_STATUS
    """HTTP status; 0 if there was no whole response."""
    error: str = ""
    """Why there was none, or the type of the problem that the server reported."""
    budget_met: bool = False
    """What the server says in ``SentryFuse-Budget-Met`` of a 200; a miss otherwise."""
    variant: str = ""
    expected_accuracy: float | None = None
    energy_j: float | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    """Receipt: seconds by stage, ``total`` among them."""
    retry_after_s: float | None = None

    @property
    def latency_s(self) -> float | None:
        """From the scheduled time to the first byte, as the caller feels it."""
        return None if self.first_byte_s is None else self.first_byte_s - self.scheduled_s

    def to_json(self) -> dict[str, Any]:
        """Plain data, times to the microsecond, without what is empty."""
        data = {k: v for k, v in asdict(self).items() if v not in (None, "", {})}
        stages = {k: round(v, 6) for k, v in self.stages_s.items()}
        rounded = {k: round(v, 6) for k, v in data.items() if isinstance(v, float)}
        return {**data, **rounded, **({"stages_s": stages} if stages else {})}


def read_outcome(exchange: Exchange, began_s: float) -> Outcome:
    """Read status, headers and receipt of an exchange that is over.

    A response that is not what the native API answers counts as an error, never as an answer.
    """
    times: dict[str, Any] = {
        "scheduled_s": exchange.scheduled_s - began_s,
        "sent_s": None if exchange.sent_s is None else exchange.sent_s - began_s,
        "first_byte_s": None if exchange.first_byte_s is None else exchange.first_byte_s - began_s,
    }
    if not exchange.response:
        return Outcome(**times, error=exchange.error)
    head, _, body = exchange.response.partition(b"\r\n\r\n")
    try:
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        status = int(status_line.split(" ")[1])
        if status != 200:
            return _refusal(times, status, headers, body)
        content = orjson.loads(body)
        receipt = content["receipt"]
        return Outcome(
            **times,
            status=status,
            budget_met=headers["sentryfuse-budget-met"] == "true",
            variant=headers["sentryfuse-variant"],
            expected_accuracy=content["plan"]["expected"]["accuracy"],
            energy_j=receipt["energy_mj"] / 1e3,
            stages_s={k[:-3]: v / 1e3 for k, v in receipt.items() if k.endswith("_ms")},
        )
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Outcome(**times, error=f"unreadable response: {type(error).__name__}: {error}")


def _refusal(
    times: Mapping[str, Any], status: int, headers: Mapping[str, str], body: bytes
) -> Outcome:
    """Read problem details; what is not such is named by its status alone."""
    try:
        content = orjson.loads(body)
    except ValueError:
        content = None
    problem = content if isinstance(content, dict) else {}
    retry_s = problem.get("retry_after_s", headers.get("retry-after"))
    return Outcome(
        **times,
        status=status,
        error=f"{problem.get('type', status)} {problem.get('reason', '')}".strip(),
        retry_after_s=None if retry_s is None else float(retry_s),
    )
