"""Whatever comes in whatever order: nothing lost, nothing twice, no core or joule overdrawn."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.scheduling import Budget, NodeState, plan
from app.scheduling.dispatch import Dispatch
from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import FairSlack, View
from app.scheduling.menu import Menu
from app.scheduling.types import Request
from tests.unit.scheduling.ladder import costs, scheduler

CORES = 2
CAP_W, IDLE_W = 3.2, 3.0


class Driven(RuleBasedStateMachine):
    """Drives a scheduler as a server would, and keeps its own books."""

    cap_w: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.made = scheduler(cores=CORES, max_queue=20, cap_w=self.cap_w, late_grace_s=0.05)
        self.now_s = 0.0
        self.count = 0
        self.waits: set[int] = set()
        self.ended: list[int] = []
        self.running: list[Dispatch] = []
        self.spent: list[tuple[float, float]] = []

    @rule(
        group=st.sampled_from("abc"),
        budget_ms=st.none() | st.floats(0.1, 100),
        windows=st.sampled_from([1, 1, 1, 5, 40]),
        strict=st.booleans(),
        energy_j=st.none() | st.floats(1e-3, 0.1),
        floor=st.none() | st.sampled_from([0.5, 0.85, 0.95]),
        least_energy=st.booleans(),
    )
    def submit(
        self,
        group: str,
        budget_ms: float | None,
        windows: int,
        strict: bool,
        energy_j: float | None,
        floor: float | None,
        least_energy: bool,
    ) -> None:
        budget = Budget(
            latency_s=None if budget_ms is None else 1e-3 * budget_ms,
            energy_j=energy_j,
            accuracy_floor=floor,
            least_energy=least_energy,
            strict=strict,
        )
        self.count += 1
        asked = Request(
            id=self.count, group=group, budget=budget, received_s=self.now_s, windows=windows
        )
        if self.made.submit(asked, self.now_s) is None:
            self.waits.add(asked.id)
        else:
            self.ended.append(asked.id)

    @rule()
    def pump(self) -> None:
        while (dispatch := self.made.next(self.now_s)) is not None:
            assert len({request.group for request in dispatch.requests}) == 1
            assert sum(r.windows for r in dispatch.requests) == dispatch.offer.option.batch
            self._end(dispatch.requests)
            self.running.append(dispatch)
            self.spent.append((self.now_s, dispatch.predicted_j))
        for dropped in self.made.dropped():
            self._end((dropped.request,))

    @precondition(lambda self: self.running)
    @rule(factor=st.floats(0.3, 3.0), pick=st.integers(0, CORES))
    def finish(self, factor: float, pick: int) -> None:
        dispatch = self.running.pop(pick % len(self.running))
        took_s = factor * dispatch.offer.latency_s
        self.now_s += took_s
        self.made.finished(
            dispatch,
            latency_s=took_s,
            energy_j=dispatch.predicted_j,
            now_s=self.now_s,
            handover_j=factor * 1e-3,
        )

    @rule(seconds=st.floats(0, 0.2))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(sorted(self.waits)))
        assert self.made.cancel(chosen)
        self.waits.remove(chosen)
        self.ended.append(chosen)

    def _end(self, requests: tuple[Request, ...]) -> None:
        for request in requests:
            self.waits.remove(request.id)
            self.ended.append(request.id)

    @invariant()
    def nobody_is_lost_or_ends_twice(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        assert len(self.ended) + len(self.waits) == self.count
        assert self.made.waiting + len(self.made._dropped) == len(self.waits)

    @invariant()
    def no_core_is_used_twice(self) -> None:
        used = sum(dispatch.cores for dispatch in self.running)
        assert used + self.made.free_cores == CORES

    @invariant()
    def the_nodes_cap_holds_over_every_second(self) -> None:
        if self.cap_w is None:
            return
        active_w = self.cap_w - IDLE_W
        for n, (began_s, _) in enumerate(self.spent):
            joules = sum(j for at_s, j in self.spent[n:] if at_s < began_s + 1.0)
            assert joules <= 1.05 * active_w + 1e-9

    def teardown(self) -> None:
        """Nothing is submitted any more: everything comes to an end."""
        for _ in range(10 * self.count + 10):
            self.pump()
            if self.running:
                self.finish(1.0, 0)
            self.now_s += 0.25
        assert not self.waits


class Capped(Driven):
    """The same under a cap on the node's power."""

    cap_w = CAP_W


TestScheduler = Driven.TestCase
TestCappedScheduler = Capped.TestCase
TestScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCappedScheduler.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

budgets = st.builds(
    Budget,
    latency_s=st.none() | st.floats(1e-4, 0.05),
    energy_j=st.none() | st.floats(1e-4, 0.1),
    power_w=st.none() | st.floats(2.0, 10.0),
    accuracy_floor=st.none() | st.floats(0, 1),
    least_energy=st.booleans(),
)


@given(
    budget=budgets,
    slowdown=st.floats(0.2, 5),
    margin=st.floats(0, 1),
    rate_hz=st.floats(1, 500),
)
def test_with_nobody_else_waiting_the_policy_chooses_as_the_plan_of_one_request(
    budget: Budget, slowdown: float, margin: float, rate_hz: float
) -> None:
    menu = Menu(costs)
    view = View(
        request=Request(id=1, group="a", budget=budget, received_s=0.0),
        offers=menu.offers((1,)),
        menu=menu,
        slack_s=math.inf if budget.latency_s is None else budget.latency_s,
        slowdown=slowdown,
        margin=margin,
        energy_factor=1.0,
        pace_s=math.inf,
        allowance_j=math.inf,
        idle_power_w=IDLE_W,
        arrival_rate_hz=rate_hz,
        queued=1,
    )
    node = NodeState(
        idle_power_w=IDLE_W,
        arrival_rate_hz=rate_hz,
        slowdown=slowdown,
        slowdown_margin=margin,
    )

    expected = plan(costs(1), budget, node).permille
    assert FairSlack().choose(view).option.permille == expected
    assert FairPrice().choose(view).option.permille == expected
