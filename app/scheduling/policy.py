"""Choosing the variant for one request: the most accurate that budgets allow, or the cheapest.

The whole policy is one order on options. Missing a budget by less is better, the most precious
budget first (latency, accuracy, power, energy: DESIGN 5.3 concedes them in the opposite order);
then more expected accuracy, less energy, a larger batch (DESIGN 5.8), or for who prefers the least
energy that before accuracy. So one minimum is the best plan that fits and also the best that can
be done when nothing fits, and a smaller budget never gives a plan that costs more of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.scheduling.plans import Infeasible, Plan
from app.scheduling.types import Budget, BudgetKind, Limit, NodeState, VariantCost
from app.scheduling.wording import why_refused

_CONCEDED_IN_ORDER: tuple[BudgetKind, ...] = ("energy", "power", "accuracy", "latency")


def plan(options: Sequence[VariantCost], budget: Budget, node: NodeState) -> Plan:
    """Choose one option for a request.

    Args:
        options: The variants there are for the request's presence, at its batch size.
        budget: What the request may spend.
        node: Load and state of the machine.

    Returns:
        The most accurate plan within every budget, or the one of least energy if that is wanted;
        if there is none and the budget is not strict, the one that misses by least, ``feasible``
        False.

    Raises:
        ValueError: ``options`` is empty.
        Infeasible: No option keeps the node's cap, or none fits a strict budget.
    """
    if not options:
        raise ValueError("there must be at least one option to plan with")
    allowed = _under_the_cap(options, node)
    best = min(allowed, key=lambda option: _order(option, budget, node))
    if budget.strict:
        decider = next((m for m in _limits(best, best.energy_j, budget, node) if m.missed), None)
        if decider is not None:
            raise Infeasible(decider.kind, decider.expected, decider.asked, why_refused(decider))
    return describe(best, budget, node)


def describe(
    option: VariantCost,
    budget: Budget,
    node: NodeState,
    *,
    energy_j: float | None = None,
    requests: int = 1,
    cores: int = 1,
    queued: int = 0,
    share_s: float | None = None,
) -> Plan:
    """Set an option that was chosen beside a budget, kept or not.

    Args:
        option: What is to be run.
        budget: What the request may spend.
        node: Load and state of the machine.
        energy_j: Of the request, if that is not the option's.
        requests: How many share the batch.
        cores: How many share its rows.
        queued: Requests behind it that decided.
        share_s: Core time of each window, where that decided although nobody waits.
    """
    energy_j = option.energy_j if energy_j is None else energy_j
    limits = _limits(option, energy_j, budget, node)
    missed = {limit.kind for limit in limits if limit.missed}
    return Plan(
        permille=option.permille,
        batch=option.batch,
        threads=option.threads,
        expected_latency_s=node.elapsed_s + node.slowdown * option.latency_s,
        expected_energy_j=energy_j,
        expected_accuracy=option.expected_accuracy,
        expected_power_w=node.power_w(energy_j),
        feasible=not missed,
        conceded=tuple(kind for kind in _CONCEDED_IN_ORDER if kind in missed) if missed else (),
        limits=(*limits, *_cap(energy_j, node)),
        requests=requests,
        cores=cores,
        queued=queued,
        share_s=share_s,
        least_energy=budget.least_energy,
    )


def _under_the_cap(options: Sequence[VariantCost], node: NodeState) -> list[VariantCost]:
    allowed = [o for o in options if not any(c.missed for c in _cap(o.energy_j, node))]
    if not allowed:
        (cap,) = _cap(min(option.energy_j for option in options), node)
        raise Infeasible("cap", cap.expected, cap.asked, why_refused(cap))
    return allowed


def _cap(energy_j: float, node: NodeState) -> list[Limit]:
    """The node's cap beside what this energy makes of it; empty without a cap."""
    if node.power_cap_w is None:
        return []
    power = node.power_w(energy_j)
    return [Limit("cap", node.power_cap_w, power, power > node.power_cap_w)]


def _limits(option: VariantCost, energy_j: float, budget: Budget, node: NodeState) -> list[Limit]:
    """Every budget that was given beside what the option takes of it, most precious first."""
    limits = []
    if budget.latency_s is not None:
        factor = node.slowdown + node.slowdown_margin
        latency = node.elapsed_s + factor * option.latency_s
        limits.append(Limit("latency", budget.latency_s, latency, latency > budget.latency_s))
    if budget.accuracy_floor is not None:
        accuracy, floor = option.expected_accuracy, budget.accuracy_floor
        limits.append(Limit("accuracy", floor, accuracy, accuracy < floor))
    if budget.power_w is not None:
        power = node.power_w(energy_j)
        limits.append(Limit("power", budget.power_w, power, power > budget.power_w))
    if budget.energy_j is not None:
        limits.append(Limit("energy", budget.energy_j, energy_j, energy_j > budget.energy_j))
    return limits


def _miss(limit: Limit) -> tuple[float, float]:
    """How badly a limit is missed: not at all, or the worse the further what is expected lies."""
    if not limit.missed:
        return (0.0, 0.0)
    return (1.0, -limit.expected if limit.kind == "accuracy" else limit.expected)


def _order(option: VariantCost, budget: Budget, node: NodeState) -> tuple[object, ...]:
    """Sort key: the misses, most precious budget first, then what is better to have.

    Every field takes part, so options of equal key are equal and their order can't matter.
    """
    accuracy_then_energy = (-option.expected_accuracy, option.energy_j)
    return (
        *(_miss(limit) for limit in _limits(option, option.energy_j, budget, node)),
        *(reversed(accuracy_then_energy) if budget.least_energy else accuracy_then_energy),
        -option.batch,
        option.latency_s,
        option.permille,
        option.flops,
        option.threads,
    )
