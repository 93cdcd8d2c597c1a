"""The scheduler: what waits, what runs next, and who is told no. No clock, no I/O, no threads.

The same object serves requests and runs in the simulator: whoever drives it says what time it is,
runs what :meth:`Scheduler.next` hands out, and reports back with :meth:`Scheduler.finished`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

from app.scheduling import saving
from app.scheduling.admission import Ahead, has_room, lateness_s, refusal_for_power
from app.scheduling.arrivals import ArrivalRate
from app.scheduling.dispatch import Dispatch, Dropped, DropReason, Limits, Refused
from app.scheduling.estimator import Estimator
from app.scheduling.fair_price import FairPrice
from app.scheduling.fair_slack import Policy, View
from app.scheduling.handover import Handover
from app.scheduling.lanes import Lane, Lanes
from app.scheduling.load import LoadForecast
from app.scheduling.menu import BATCHES, Menu, Offer
from app.scheduling.pace import pace_s
from app.scheduling.power_gate import PowerGate
from app.scheduling.running import Running
from app.scheduling.types import Request
from app.scheduling.waiting import MOST_BEHIND, MOST_TOGETHER, NOBODY, Waiting

_POWER_HORIZON_S = 1.0
_LEAST_CORES = 0.5
# Of the time of cores that reading, deciding and writing share; these come all at once, and
# everybody waits for them.
_ROOM = 0.6


class Scheduler:
    """Bounded earliest-deadline-first lanes, a policy, an estimator and a power gate.

    A request that was submitted leaves in exactly one way: in one dispatch, in one
    :class:`Dropped`, or by :meth:`cancel`.

    Args:
        menus: What can be run for a group; asked at dispatch, so it may change meanwhile.
        limits: Bounds on waiting and batching.
        gate: The node's power cap.
        policy: Chooses among offers; ours unless two are compared.
        estimator: How far the host is from its profile.
    """

    def __init__(
        self,
        menus: Callable[[Hashable], Menu],
        limits: Limits,
        gate: PowerGate,
        *,
        policy: Policy | None = None,
        estimator: Estimator | None = None,
    ) -> None:
        self.gate = gate
        self.policy = policy or FairPrice()
        self.estimator = estimator or Estimator()
        self.arrivals = ArrivalRate()
        self.overhead_s = 0.0
        """What an answer takes beside waiting and inference; set aside in every plan."""
        self.handover = Handover()
        """What a batch takes of a core beside its inference."""
        self.overhead_core_s = 0.0
        """Core time that a request takes beside its inference, from the cores of inference."""
        self._menus = menus
        self._limits = limits
        self._load = LoadForecast()
        self._timely, self._late = Lanes(), Lanes()
        self._free = limits.cores
        self._running = Running()
        self._dropped: list[Dropped] = []
        self._wake_s = math.inf

    @property
    def waiting(self) -> int:
        """Requests in the queues."""
        return self._timely.count + self._late.count

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self.waiting and not self._running

    @property
    def free_cores(self) -> int:
        """Cores with nothing to do."""
        return self._free

    def submit(self, request: Request, now_s: float) -> Refused | None:
        """Queue a request, or say why not; nothing has been spent on it then.

        Raises:
            ValueError: A request with this id waits already.
        """
        self._load.record(now_s, request.windows, request.deadline_s - now_s)
        refused = self._refusal(request, now_s)
        if refused is None:
            patience_s = request.received_s + self._limits.patience_s
            self._timely.add(request, min(request.deadline_s, patience_s))
        return refused

    def turned_away(self, now_s: float, slack_s: float) -> None:
        """Reckon with a request that was refused before it got here: more of its kind will come."""
        self._load.record(now_s, 1, slack_s)

    def next(self, now_s: float) -> Dispatch | None:
        """Decide what a free core does now; None if there is none or nothing that may run.

        Ask again until it is None; then after a submission, after a core is free, and at
        :attr:`wake_s`.
        """
        self._wake_s = math.inf
        patient: list[Lane] = []
        while self._free > 0 and (lane := self._timely.most_urgent(patient)) is not None:
            head = lane.head
            if self._give_up(head, lane, now_s):
                continue
            if (until_s := self._expects_company_until_s(lane)) > now_s:
                patient.append(lane)
                self._wake_s = min(self._wake_s, until_s)
                continue
            view = self._view(lane, now_s)
            offer = self.policy.choose(view)
            if offer is None:
                self._drop(self._timely, head, "deadline", now_s)
            elif head.budget.strict and (broken := view.breaks(offer)) is not None:
                self._drop(self._timely, head, broken, now_s)
            else:
                return self._through_gate(self._timely, lane, offer, view, now_s)
        while self._free > 0 and (lane := self._late.most_urgent()) is not None:
            if now_s > lane.line[0][0]:
                self._drop(self._late, lane.head, "deadline", now_s)
                continue
            view = self._view(lane, now_s, late=True)
            offer = self.policy.choose(view) or min(view.offers, key=lambda o: o.latency_s)
            return self._through_gate(self._late, lane, offer, view, now_s)
        return None

    def finished(
        self,
        dispatch: Dispatch,
        *,
        latency_s: float,
        energy_j: float,
        now_s: float,
        handover_j: float = 0.0,
    ) -> None:
        """Take back the cores of a dispatch and learn from what it took.

        Args:
            dispatch: What was run.
            latency_s: Of the inference alone.
            energy_j: Active energy of the inference.
            now_s: The time.
            handover_j: Active energy of handing it over, where that is measured.
        """
        self._release(dispatch)
        self.handover = self.handover.updated(now_s - dispatch.now_s - latency_s, handover_j)
        self.gate.settle(dispatch.predicted_j, energy_j, now_s)
        option = dispatch.offer.option
        self.estimator.observe(
            latency_s / option.latency_s if option.latency_s else 0.0,
            energy_j / option.energy_j if option.energy_j else 0.0,
        )

    def failed(self, dispatch: Dispatch) -> None:
        """Take back the cores of a dispatch that came to nothing; its energy counts as spent."""
        self._release(dispatch)

    def cancel(self, request_id: int) -> bool:
        """Forget a request that still waits; False if it does not."""
        return (self._timely.remove(request_id) or self._late.remove(request_id)) is not None

    def dropped(self) -> tuple[Dropped, ...]:
        """Return those given up since the last call."""
        dropped, self._dropped = tuple(self._dropped), []
        return dropped

    @property
    def wake_s(self) -> float:
        """When to ask :meth:`next` again although nothing else happened; infinity for never."""
        return self._wake_s

    def retry_after_s(self, now_s: float) -> float:
        """How long until what waits now is served at the quickest."""
        lane = self._timely.most_urgent() or self._late.most_urgent()
        if lane is None:
            return self._running.busy_s(now_s) / self._limits.cores
        least_s = self._menus(lane.head.group).least_core_s(self._most_batch)
        work_s = least_s * self.estimator.latency.mean * self._timely.windows
        return (self._running.busy_s(now_s) + work_s) / self._limits.cores

    @property
    def _most_batch(self) -> int:
        return min(self._limits.max_windows, BATCHES[-1])

    def _refusal(self, request: Request, now_s: float) -> Refused | None:
        if not has_room(self.waiting, self._free, self._limits):
            return Refused(
                "queue_full",
                self.retry_after_s(now_s),
                f"{self.waiting} requests already wait for {self._limits.cores} cores",
            )
        menu = self._menus(request.group)
        powerless = self._refusal_for_power(request, menu, now_s)
        return powerless or self._refusal_for_lateness(request, menu, now_s)

    def _refusal_for_power(self, request: Request, menu: Menu, now_s: float) -> Refused | None:
        if self.gate.cap_w is None:
            return None
        least_j = menu.least_window_j(self._most_batch) * request.windows
        return refusal_for_power(
            request,
            least_j * self.estimator.energy.mean,
            self.waiting,
            self.gate,
            patience_s=self._limits.patience_s,
            now_s=now_s,
        )

    def _refusal_for_lateness(self, request: Request, menu: Menu, now_s: float) -> Refused | None:
        if not (self.policy.sheds and request.budget.strict and request.deadline_s < math.inf):
            return None
        late_s = lateness_s(
            request,
            menu,
            Ahead(
                sooner=self._timely.ahead_of(request.deadline_s),
                free_cores=self._free,
                busy_s=self._running.busy_s(now_s),
            ),
            self._limits,
            most_batch=self._most_batch,
            slowdown=self.estimator.latency.mean,
            overhead_s=self.overhead_s,
            now_s=now_s,
        )
        if late_s <= 0:
            return None
        if self.idle:
            self.estimator.doubted()
        return Refused(
            "busy",
            late_s,
            f"{self.waiting} requests wait: this one would be "
            f"{1e3 * late_s:.3g} ms late at the least",
        )

    def _give_up(self, head: Request, lane: Lane, now_s: float) -> bool:
        """Take a request that can't make it any more out of the way of those that can."""
        if head.deadline_s == math.inf:
            if now_s <= head.received_s + self._limits.patience_s:
                return False
            self._drop(self._timely, head, "patience", now_s)
            return True
        cores = self._free if len(lane.line) == 1 == self.waiting else 1
        fastest_s = self._menus(head.group).fastest_s(head.windows, cores, head.permilles)
        slowdown = self.estimator.latency.mean
        if now_s + fastest_s * slowdown + self.overhead_s <= head.deadline_s:
            return False
        if head.budget.strict:
            self._drop(self._timely, head, "deadline", now_s)
        else:
            self._timely.remove(head.id)
            self._late.add(head, max(head.deadline_s, now_s) + self._limits.late_grace_s)
        return True

    def _expects_company_until_s(self, lane: Lane) -> float:
        """Until when a batch is not begun beside a larger one of its kind; never, if there is none.

        Those who want the least energy wait for more of them until that one ends or as many wait,
        for half of their budget at most: what has just been answered comes back one by one, and
        each would run alone. Others never wait for company (DESIGN 5.8).
        """
        head = lane.head
        if not head.budget.least_energy:
            return -math.inf
        largest = self._running.largest(head.group)
        windows = sum(lane.windows(BATCHES[-1], self._limits.max_windows))
        if windows >= min(largest, self._most_batch):
            return -math.inf
        return saving.patient_until_s(head)

    def _drop(self, lanes: Lanes, request: Request, reason: DropReason, now_s: float) -> None:
        lanes.remove(request.id)
        self._dropped.append(Dropped(request, reason, now_s - request.received_s))

    def _view(self, lane: Lane, now_s: float, *, late: bool = False) -> View:
        head, lanes = lane.head, self._late if late else self._timely
        menu = self._menus(head.group)
        windows = lane.windows(BATCHES[-1], self._limits.max_windows)
        alone = len(lane.line) == len(windows) == self.waiting
        answered_s = now_s + self.overhead_s
        rate_hz = self._load.rate_hz(now_s)
        # Those who are late keep it too: a core that one of them holds for long is not there for
        # those who are not.
        pace = pace_s(
            lanes,
            rate_hz=rate_hz,
            budget_s=self._load.budget_s,
            cores=self._cores_for_inference(rate_hz),
            now_s=answered_s,
        )
        return View(
            request=head,
            offers=menu.offers(windows, self._free if alone else 1, head.permilles),
            menu=menu,
            slack_s=head.deadline_s - answered_s,
            slowdown=self.estimator.latency.mean,
            margin=self.estimator.latency_margin,
            energy_factor=self.estimator.energy_bound,
            pace_s=pace,
            waiting=NOBODY if late else self._waiting(lane, answered_s, now_s),
            allowance_j=self.gate.allowance_j(rate_hz, self.waiting, _POWER_HORIZON_S, now_s),
            surplus_j=self.gate.surplus_j(now_s),
            idle_power_w=self.gate.idle_power_w,
            arrival_rate_hz=max(self.arrivals.rate_hz(now_s), 1.0),
            queued=self.waiting,
            handover_s=self.handover.allowance_s,
            handover_j=self.handover.energy_j,
        )

    def _waiting(self, lane: Lane, answered_s: float, now_s: float) -> Waiting:
        """What those who are not late yet have left; nothing where only one waits."""
        if self._timely.count < 2:
            return NOBODY
        return Waiting(
            lane_s=[due_s - answered_s for due_s in lane.first_due(MOST_TOGETHER)],
            all_s=[
                due_s - answered_s for due_s in self._timely.first_due(MOST_TOGETHER + MOST_BEHIND)
            ],
            next_core_s=0.0 if self._free > 1 else self._running.next_end_s(now_s),
        )

    def _cores_for_inference(self, rate_hz: float) -> float:
        """Cores less what requests take beside inference, and room for that to come at once."""
        beside = rate_hz * self.overhead_core_s
        room = _ROOM if beside else 1.0
        return max(room * (self._limits.cores - beside), _LEAST_CORES)

    def _through_gate(
        self, lanes: Lanes, lane: Lane, offer: Offer, view: View, now_s: float
    ) -> Dispatch | None:
        """Run the offer if the power cap has the joules; else wait for them, or take less."""
        until_s = saving.grows_until_s(offer, view, self.policy, self._most_batch)
        if until_s > now_s:
            self._wake_s = min(self._wake_s, until_s)
            return None
        factor = self.estimator.energy.mean
        if not self.gate.admits(offer.option.energy_j * factor, now_s):
            offer = saving.instead(offer, view, self.policy, self.gate, factor=factor, now_s=now_s)
            energy_j = offer.option.energy_j * factor
            if not self.gate.admits(energy_j, now_s):
                wake_s = saving.wake_s(energy_j, lane.line[0][0], self.gate, now_s)
                self._wake_s = min(self._wake_s, wake_s)
                return None
        predicted_j = offer.option.energy_j * factor
        self.gate.spend(predicted_j, now_s)
        requests = lanes.take(lane, offer.requests)
        self.arrivals.record(now_s, len(requests))
        cores = offer.option.cores
        self._free -= cores
        self._running.begin(
            requests[0].id,
            end_s=now_s + view.slowdown * offer.latency_s,
            group=requests[0].group,
            windows=offer.option.batch,
        )
        return Dispatch(
            requests=requests,
            offer=offer,
            view=view,
            cores=cores,
            predicted_j=predicted_j,
            energy_factor=factor,
            cap_w=self.gate.cap_w,
            overhead_s=self.overhead_s,
            now_s=now_s,
        )

    def _release(self, dispatch: Dispatch) -> None:
        self._free += dispatch.cores
        self._running.end(dispatch.requests[0].id)
