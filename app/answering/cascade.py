"""Small first: whether an unsure answer is worth a larger variant (off unless asked for)."""

from __future__ import annotations

from dataclasses import replace

from app.answering.outlook import Options
from app.inference.lineup import Lineup
from app.scheduling import Budget, Infeasible, NodeState, plan


def first_ratios(lineup: Lineup, budget: Budget) -> frozenset[int]:
    """Return the smallest variant in memory that keeps the accuracy floor, if any does."""
    floor = budget.accuracy_floor or 0.0
    rungs = [rung for rung in lineup.rungs if rung.permille in lineup.residents]
    accurate = [rung for rung in rungs if rung.expected_accuracy >= floor]
    return frozenset({min(accurate or rungs, key=lambda rung: rung.flops).permille})


def next_ratios(
    lineup: Lineup, last: int, options: Options, budget: Budget, state: NodeState
) -> frozenset[int]:
    """Return the variants in memory that are worth asking after an unsure answer.

    Args:
        lineup: The variants.
        last: The ratio that was unsure.
        options: Every ratio for the request, with the energy spent on it so far.
        budget: Of the whole request.
        state: The node, with the time spent on it so far.

    Returns:
        Those that are expected to be more accurate; none if no one of them fits what is left of
        the budget.
    """
    accuracy = {rung.permille: rung.expected_accuracy for rung in lineup.rungs}
    better = [
        option
        for option in options
        if option.permille in lineup.residents and accuracy[option.permille] > accuracy[last]
    ]
    if not better:
        return frozenset()
    # Keeping the node's cap is left to the power gate.
    try:
        plan(better, replace(budget, strict=True), replace(state, power_cap_w=None))
    except Infeasible:
        return frozenset()
    return frozenset(option.permille for option in better)
