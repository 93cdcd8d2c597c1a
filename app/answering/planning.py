"""Plans outside the queue: what to build for a request, and dry runs."""

from __future__ import annotations

from dataclasses import replace

from app.answering.ask import Ask
from app.answering.outlook import Options, Outlook
from app.answering.refusals import Refusals
from app.inference.ladder import with_build_time
from app.inference.lineup import Lineup
from app.scheduling import Budget, Infeasible, Plan, plan


class Planner:
    """Plans for one request as if nobody waited; what waits is planned by the scheduler.

    Args:
        outlook: The machine.
        refusals: Puts a no into words.
    """

    def __init__(self, outlook: Outlook, refusals: Refusals) -> None:
        self._outlook = outlook
        self._refusals = refusals

    def to_build(self, ask: Ask, lineup: Lineup, *, build_s: float) -> int | None:
        """Return the ratio to build before this request is served, or None for none.

        One that is not in memory takes ``build_s`` longer. Keeping the node's cap is left to the
        power gate, which spreads work over time.

        Raises:
            RequestError: The budget is strict and can't be met.
        """
        options = self._outlook.options(ask, lineup)
        spent_s = self._outlook.spent_s(ask)
        state = replace(self._outlook.state(spent_s=spent_s), power_cap_w=None)
        try:
            chosen = plan(
                with_build_time(options, lineup.residents, build_s), ask.budget, state
            ).permille
        except Infeasible as verdict:
            raise self._refusals.infeasible(verdict, options, ask.budget, ask.parse_cpu_s) from None
        return None if chosen in lineup.residents else chosen

    def wish(self, ask: Ask, lineup: Lineup) -> int | None:
        """Return the ratio that would serve this request best, were every variant in memory."""
        options, budget = self._outlook.options(ask, lineup), replace(ask.budget, strict=False)
        try:
            return plan(options, budget, self._outlook.state(spent_s=0.0)).permille
        except Infeasible:
            return None

    def dry_run(self, options: Options, budget: Budget) -> Plan:
        """Plan for a request that would arrive now, every variant being in memory.

        Raises:
            RequestError: The request would be refused.
        """
        try:
            return plan(options, budget, self._outlook.state(spent_s=0.0))
        except Infeasible as verdict:
            raise self._refusals.infeasible(verdict, options, budget, 0.0) from None
