"""How a no is put to a client: for good, or only for now, and until when."""

from __future__ import annotations

from app.answering.ask import Ask
from app.answering.outlook import Options, Outlook
from app.errors import BudgetError, DeadlineError, NotReadyError, RequestError, ShedError
from app.inference.lineup import Lineup
from app.scheduling import Budget, Infeasible, plan
from app.scheduling.dispatch import Dropped, Refused

_SHORTEST_RETRY_S = 0.1
_CAP_RETRY_S = 30.0
_UNITS = {"latency": ("ms", 1e3), "energy": ("mJ", 1e3), "power": ("W", 1.0), "cap": ("W", 1.0)}


class Refusals:
    """Turns what the scheduler and plans say no to into errors.

    Args:
        outlook: The machine.
    """

    def __init__(self, outlook: Outlook) -> None:
        self._outlook = outlook

    def queue_full(self) -> ShedError:
        """There is no room for one more."""
        waiting = self._outlook.scheduler.waiting
        return self._shed(f"{waiting} requests already wait for a core", "queue_full")

    def refused(self, ask: Ask, lineup: Lineup, refused: Refused) -> RequestError:
        """The scheduler did not let a request in."""
        for_good: RequestError | None = None
        if refused.reason == "power_cap":
            for_good = self._below_the_least_cap(ask, lineup)
        elif refused.reason == "busy":
            options = self._outlook.options(ask, lineup)
            for_good = self._for_good(options, ask.budget, ask.parse_cpu_s)
        return for_good or self._shed(refused.message, refused.reason, refused.retry_after_s)

    def too_late(self, budget: Budget, waited_s: float) -> DeadlineError:
        """A request waited for longer than it may take."""
        budget_ms = 1e3 * (budget.latency_s or 0.0)
        return DeadlineError(
            f"the latency budget of {budget_ms:g} ms ran out while the request waited, "
            f"{1e3 * waited_s:.3g} ms so far",
            budget_ms=budget_ms,
            waited_ms=1e3 * waited_s,
        )

    def dropped(self, ask: Ask, lineup: Lineup, dropped: Dropped) -> RequestError:
        """The scheduler gave up a request that waited."""
        if dropped.reason == "deadline":
            return self.too_late(ask.budget, dropped.waited_s)
        if dropped.reason == "patience":
            waited = f"{1e3 * dropped.waited_s:.3g} ms"
            return self._shed(f"no core was free within {waited}", "queue_timeout")
        options = self._outlook.options(ask, lineup)
        for_good = self._for_good(options, ask.budget, ask.parse_cpu_s)
        return for_good or self._shed(
            f"no variant keeps the {dropped.reason} budget at the moment; an idle machine could",
            dropped.reason,
        )

    def infeasible(
        self, verdict: Infeasible, options: Options, budget: Budget, reading_s: float
    ) -> RequestError:
        """No plan was possible with these options."""
        reason = "power_cap" if verdict.kind == "cap" else verdict.kind
        return self._for_good(options, budget, reading_s) or self._shed(
            f"{verdict} at the moment; an idle machine could",
            "busy" if reason == "latency" else reason,
        )

    def _below_the_least_cap(self, ask: Ask, lineup: Lineup) -> NotReadyError | None:
        gate = self._outlook.scheduler.gate
        options = self._outlook.at_present(lineup.options(ask.windows.batch))
        least_w = gate.least_cap_w(min(option.energy_j for option in options))
        if gate.cap_w is None or least_w <= gate.cap_w:
            return None
        return NotReadyError(
            f"the node's power cap of {gate.cap_w:g} W leaves nothing to work with: one such "
            f"request per second takes {least_w:.4g} W",
            retry_after_s=_CAP_RETRY_S,
        )

    def _for_good(self, options: Options, budget: Budget, reading_s: float) -> RequestError | None:
        """Return the error if this node could not even with nothing else to do, or None."""
        try:
            plan(options, budget, self._outlook.idle_state(reading_s=reading_s))
        except Infeasible as verdict:
            if verdict.kind == "cap":
                return NotReadyError(
                    f"{verdict}, even for one request per second", retry_after_s=_CAP_RETRY_S
                )
            return BudgetError(str(verdict), **_facts(verdict))
        return None

    def _shed(self, message: str, reason: str, retry_after_s: float | None = None) -> ShedError:
        if retry_after_s is None:
            retry_after_s = self._outlook.retry_after_s
        return ShedError(
            message, reason=reason, retry_after_s=max(retry_after_s, _SHORTEST_RETRY_S)
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
