"""An upper bound on effective accuracy that no policy can beat: a linear programme.

It knows every arrival, slow-down and power cap in advance and may do what no policy can:

- fluid service: work is preempted, split over cores and spread over time at no cost;
- fractional variants: part of a request may be answered by one, part by another;
- the best batch: every request takes the least core time and the least energy that its variant
  takes in any batch, whoever else is there to share it;
- no scatter: inference takes the profile's median time, which is below its mean;
- slots: a request may be served from the beginning of the slot in which it arrives to the end
  of the slot in which it is due;
- joules: core time is as cheap as it ever is, and only requests whose whole time lies within one
  second count against what the cap leaves in that second.

Each of these can only raise the bound, so a policy's share of it is less than its share of the
true optimum.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.score import mean_step
from sentryfuse.bench.policies.traces import Trace

_SLOTS_PER_DEADLINE = 4
_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16)


@dataclass(frozen=True, slots=True)
class _Step:
    """A better variant for part of the requests: more core time, more accuracy."""

    core_s: float
    accuracy: float

    @property
    def slope(self) -> float:
        return self.accuracy / self.core_s


def best_effective_accuracy(node: Node, trace: Trace) -> float:
    """Return an upper bound on the effective accuracy of any policy on this trace.

    Requests of one slot have one deadline, so their work can be placed together, and the best use
    of a slot's work climbs the concave hulls of its presences, steepest step first. Variables
    are the requests of a slot that take a step, and the slot's work that is done in each slot
    until its deadline.

    Raises:
        RuntimeError: The programme could not be solved.
    """
    slot_s = trace.deadline_s / _SLOTS_PER_DEADLINE
    demand = Counter(
        (int(a.at_s / slot_s), a.presence_bits) for a in trace.arrivals for _ in range(a.windows)
    )
    steps = {bits: _hull(node, bits, trace.deadline_s) for bits in {bits for _, bits in demand}}
    active = sorted({slot for slot, _ in demand})
    row_of = {slot: row for row, slot in enumerate(active)}
    slots = active[-1] + _SLOTS_PER_DEADLINE + 1
    second_s = _core_seconds_left(node, trace)

    gain: list[float] = []
    most: list[float] = []
    balance: list[tuple[int, int, float]] = []  # work of the steps = work placed
    capacity: list[tuple[int, int, float]] = []
    for (slot, bits), count in demand.items():
        for step in steps[bits]:
            balance.append((row_of[slot], len(gain), step.core_s))
            gain.append(step.accuracy)
            most.append(count)
    for slot in active:
        second = _whole_second(slot * slot_s, (slot + 1 + _SLOTS_PER_DEADLINE) * slot_s)
        for later in range(_SLOTS_PER_DEADLINE + 1):
            balance.append((row_of[slot], len(gain), -1.0))
            capacity.append((slot + later, len(gain), 1.0))
            if second in second_s:
                capacity.append((slots + second, len(gain), 1.0))
            gain.append(0.0)
            most.append(math.inf)
    limits = [node.cores * _speed(trace, slot * slot_s, slot_s) for slot in range(slots)]
    limits += [second_s.get(second, math.inf) for second in range(max(second_s, default=-1) + 1)]

    solved = linprog(
        -np.array(gain),
        A_ub=_sparse(capacity, (len(limits), len(gain))),
        b_ub=np.array(limits),
        A_eq=_sparse(balance, (len(active), len(gain))),
        b_eq=np.zeros(len(active)),
        bounds=np.column_stack([np.zeros(len(gain)), most]),
        method="highs",
    )
    if solved.status != 0:
        raise RuntimeError(f"the oracle's programme could not be solved: {solved.message}")
    return float(-solved.fun) / sum(demand.values())


def _hull(node: Node, presence_bits: int, deadline_s: float) -> list[_Step]:
    """Upper concave hull of accuracy over core time, from no answer at all to the best one."""
    points = {0.0: 0.0}
    for same in zip(*(node.costs(presence_bits, batch) for batch in _BATCHES), strict=True):
        if min(cost.latency_s for cost in same) <= deadline_s:
            core_s = min(cost.latency_s / cost.batch for cost in same)
            points[core_s] = max(points.get(core_s, 0.0), same[0].expected_accuracy)
    hull: list[_Step] = []
    at_s = height = 0.0
    for core_s, accuracy in sorted(points.items())[1:]:
        if accuracy <= height:
            continue
        step = _Step(core_s - at_s, accuracy - height)
        while hull and hull[-1].slope <= step.slope:
            last = hull.pop()
            step = _Step(step.core_s + last.core_s, step.accuracy + last.accuracy)
        hull.append(step)
        at_s, height = core_s, accuracy
    return hull


def _speed(trace: Trace, start_s: float, length_s: float) -> float:
    """Seconds of undisturbed work that one core does in a stretch of time."""
    done_s = 0.0
    for i, (since_s, factor) in enumerate(trace.slowdowns):
        until_s = trace.slowdowns[i + 1][0] if i + 1 < len(trace.slowdowns) else math.inf
        overlap_s = min(start_s + length_s, until_s) - max(start_s, since_s)
        done_s += max(overlap_s, 0.0) / factor
    return done_s


def _whole_second(start_s: float, end_s: float) -> int:
    """The second that holds a stretch of time; -1 if there is none."""
    return int(start_s) if end_s <= int(start_s) + 1 else -1


def _core_seconds_left(node: Node, trace: Trace) -> dict[int, float]:
    """Core time that the cap pays for in each second that has one throughout."""
    least_w = _least_watts(node)
    left = {}
    for second in range(math.ceil(trace.duration_s) + 1):
        cap_w = mean_step(trace.caps, second, second + 1)
        if cap_w is not None:
            left[second] = max(cap_w - node.idle_power_w, 0.0) / least_w
    return left


def _least_watts(node: Node) -> float:
    """Least joules that a second of a core's time takes, whatever runs."""
    return min(
        cost.energy_j / cost.latency_s
        for bits in node.ladders
        for batch in _BATCHES
        for cost in node.costs(bits, batch)
    )


def _sparse(entries: list[tuple[int, int, float]], shape: tuple[int, int]) -> coo_array:
    rows, columns, values = zip(*entries, strict=True)
    return coo_array((values, (rows, columns)), shape=shape)
