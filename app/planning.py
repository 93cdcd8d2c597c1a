"""When to plan with what: at arrival, again when a core is free, and how to say no."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from app.ask import Ask
from app.errors import BudgetError, DeadlineError, NotReadyError, RequestError, ShedError
from app.inference.ladder import with_build_time
from app.node import Node
from app.scheduling import Budget, Infeasible, Plan, VariantCost, plan

_SHORTEST_RETRY_S = 0.1
_CAP_RETRY_S = 30.0
_UNITS = {"latency": ("ms", 1e3), "energy": ("mJ", 1e3), "power": ("W", 1.0), "cap": ("W", 1.0)}

Options = Sequence[VariantCost]


class Planner:
    """Turns requests into plans for this node.

    Args:
        node: The machine as observed.
        watts_per_core: Active power of a busy core.
    """

    def __init__(self, node: Node, *, watts_per_core: float) -> None:
        self._node = node
        self._watts = watts_per_core

    def at_arrival(
        self, ask: Ask, options: Options, *, in_memory: Container[int], build_s: float, now_s: float
    ) -> Plan:
        """Plan with every ratio; one that is not in memory takes ``build_s`` longer.

        Raises:
            RequestError: The budget is strict and can't be met, or the node's cap can't be kept.
        """
        options = self._with_reading(ask, options)
        now = with_build_time(options, in_memory, build_s)
        spent_s = now_s - ask.received_s
        try:
            return plan(now, ask.budget, self._node.state(elapsed_s=spent_s))
        except Infeasible as verdict:
            raise self._refusal(verdict, options, ask.budget, spent_s) from None

    def at_dispatch(
        self, ask: Ask, options: Options, *, in_memory: Container[int], now_s: float
    ) -> Plan:
        """Plan with what is in memory and the time that is left.

        Raises:
            RequestError: As at arrival; a strict latency budget may have run out meanwhile.
        """
        options = self._with_reading(ask, options)
        ready = [option for option in options if option.permille in in_memory]
        spent_s = now_s - ask.received_s
        try:
            return plan(ready, ask.budget, self._node.state(elapsed_s=spent_s))
        except Infeasible as verdict:
            if verdict.kind == "latency":
                raise DeadlineError(
                    f"the latency budget ran out while the request waited: {verdict}",
                    budget_ms=1e3 * verdict.asked,
                    waited_ms=1e3 * spent_s,
                ) from None
            raise self._refusal(verdict, options, ask.budget, spent_s) from None

    def wish(self, ask: Ask, options: Options) -> int | None:
        """Return the ratio that would serve this request best, were every variant in memory."""
        state = self._node.state(elapsed_s=0.0)
        try:
            return plan(options, replace(ask.budget, strict=False), state).permille
        except Infeasible:
            return None

    def dry_run(self, options: Options, budget: Budget) -> Plan:
        """Plan for a request that would arrive now, every variant being in memory.

        Raises:
            RequestError: The request would be refused.
        """
        try:
            return plan(options, budget, self._node.state(elapsed_s=0.0))
        except Infeasible as verdict:
            raise self._refusal(verdict, options, budget, 0.0) from None

    def _with_reading(self, ask: Ask, options: Options) -> Options:
        """Add the energy that reading the request took, where energy decides anything."""
        budget = ask.budget
        if budget.energy_j is budget.power_w is self._node.power_cap_w is None:
            return options
        energy_j = ask.parse_cpu_s * self._watts
        return [replace(option, energy_j=option.energy_j + energy_j) for option in options]

    def _refusal(
        self, verdict: Infeasible, options: Options, budget: Budget, spent_s: float
    ) -> RequestError:
        """Say whether a refusal is for good, or only for now."""
        try:
            plan(options, budget, self._node.idle_state(elapsed_s=spent_s))
        except Infeasible as for_good:
            if for_good.kind == "cap":
                return NotReadyError(
                    f"{for_good}, even for one request per second", retry_after_s=_CAP_RETRY_S
                )
            return BudgetError(str(for_good), **_facts(for_good))
        if verdict.kind in ("power", "cap"):
            least_j = min(option.energy_j for option in options)
            allowed_hz = (verdict.asked - self._node.idle_power_w) / least_j
            wait_s = self._node.rate_falls_in_s(allowed_hz)
            reason = "power_cap" if verdict.kind == "cap" else "power"
        else:
            wait_s, reason = _SHORTEST_RETRY_S, "busy"
        return ShedError(
            f"{verdict} at the moment; an idle machine could",
            reason=reason,
            retry_after_s=max(wait_s, _SHORTEST_RETRY_S),
        )


def _facts(verdict: Infeasible) -> dict[str, object]:
    """What was asked and the least (for an accuracy, the most) possible, in the headers' units."""
    if verdict.kind == "accuracy":
        return {
            "budget": "accuracy",
            "asked": verdict.asked,
            "most_possible": verdict.least_possible,
        }
    unit, scale = _UNITS[verdict.kind]
    return {
        "budget": verdict.kind,
        f"asked_{unit.lower()}": verdict.asked * scale,
        f"least_possible_{unit.lower()}": verdict.least_possible * scale,
    }
