"""Plans and refusals in words a person understands."""

from __future__ import annotations

from collections.abc import Sequence

from app.scheduling.types import Kind, Limit

_DECIDER: dict[Kind, str] = {
    "latency": "fastest variant",
    "accuracy": "most accurate variant",
    "power": "variant of least power",
    "energy": "variant of least energy",
    "cap": "variant of least power",
}


def quantity(kind: Kind, value: float) -> str:
    """Write a value of this kind of budget with a unit of handy size."""
    if kind == "accuracy":
        return f"{value:.3f}"
    if kind in ("power", "cap"):
        return f"{_figure(value)} W"
    unit = "s" if kind == "latency" else "J"
    return f"{_figure(value)} {unit}" if value >= 1 else f"{_figure(value * 1e3)} m{unit}"


def why_chosen(
    permille: int,
    accuracy: float,
    limits: Sequence[Limit],
    queued: int = 0,
    share_s: float | None = None,
    *,
    requests: int = 1,
    least_energy: bool = False,
) -> str:
    """Say why a variant was chosen, with what was asked and is expected of every budget.

    Args:
        permille: Pruning ratio of the variant, in thousandths.
        accuracy: Its expected accuracy.
        limits: Budgets and the node's cap, the most precious first.
        queued: Requests behind it that made it smaller.
        share_s: Core time for each at the rate at which requests come, if that made it smaller.
        requests: How many share its batch.
        least_energy: Whether the least energy was preferred to the most accuracy.
    """
    missed = [limit for limit in limits if limit.missed]
    if missed and missed[0].kind == "latency" and (requests > 1 or queued):
        decider = "variant that leaves the fewest late"
    elif missed:
        decider = _DECIDER[missed[0].kind]
    elif least_energy:
        decider = f"variant of least energy ({accuracy:.3f}), as preferred,"
    else:
        decider = f"most accurate variant ({accuracy:.3f})"
    sentence = f"rho {permille / 1000:g}: {decider}"
    if met := _join([_met(limit) for limit in limits if not limit.missed]):
        sentence += f" expected {met}"
    if missed:
        sentence += ", but " + _join([_missed(limit) for limit in missed])
    if not limits:
        sentence += " no budget was given" if least_energy else ", no budget was given"
    if queued:
        sentence += f"; {queued} more wait{'s' if queued == 1 else ''}, so each gets an even share"
    elif share_s is not None:
        sentence += (
            f"; requests come so fast that each may hold a core for {_figure(1e3 * share_s)} ms"
        )
    return sentence


def why_refused(limit: Limit) -> str:
    """Say which budget can't be met and what it would have to be."""
    name = {"cap": "the node's power cap", "accuracy": "the accuracy floor"}.get(
        limit.kind, f"the {limit.kind} budget"
    )
    bound = "most" if limit.kind == "accuracy" else "least"
    return (
        f"no variant keeps {name} of {quantity(limit.kind, limit.asked)}: "
        f"the {bound} possible is {quantity(limit.kind, limit.expected)}"
    )


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _met(limit: Limit) -> str:
    asked, expected = quantity(limit.kind, limit.asked), quantity(limit.kind, limit.expected)
    if limit.kind == "accuracy":
        return f"at least {asked} accurate ({expected})"
    if limit.kind == "cap":
        return f"under the node's cap of {asked} ({expected})"
    return f"within {asked} ({expected})"


def _missed(limit: Limit) -> str:
    asked, expected = quantity(limit.kind, limit.asked), quantity(limit.kind, limit.expected)
    subject = "an accuracy of " if limit.kind == "accuracy" else ""
    return f"{subject}{expected} is expected where {asked} was asked"


def _join(phrases: Sequence[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]
