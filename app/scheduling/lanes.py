"""Bounded earliest-deadline-first queues, one for each kind of request that can share a batch."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Hashable

from app.scheduling.types import Request

Due = tuple[float, int]
"""Deadline, then order of arrival: a total order on everything that waits."""


class Lane:
    """Requests that can share a batch, the most urgent first.

    Args:
        key: What they have in common.
    """

    __slots__ = ("key", "line", "many")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.line: list[tuple[float, int, Request]] = []
        self.many = 0
        """Requests with more than one window."""

    @property
    def head(self) -> Request:
        """The most urgent."""
        return self.line[0][2]

    def first_due(self, count: int) -> list[float]:
        """Deadlines of the first."""
        return [entry[0] for entry in self.line[:count]]

    def windows(self, most_requests: int, most_windows: int) -> tuple[int, ...]:
        """Windows of each of the first requests, as many as may share a batch; one at least."""
        first = self.line[:most_requests]
        if not self.many:
            return (1,) * min(len(first), most_windows)
        sizes: list[int] = []
        total = 0
        for _, _, request in first:
            total += request.windows
            if sizes and total > most_windows:
                break
            sizes.append(request.windows)
        return tuple(sizes)


LaneKey = tuple[Hashable, ...]


def lane_key(request: Request) -> LaneKey:
    """What requests must have in common to share a plan: all that it depends on but the deadline.

    A budget of joules or watts is of a whole request, so there the windows must be equal too.
    """
    budget = request.budget
    if budget.asks_only_time:
        return (request.group, request.permilles)
    return (
        request.group,
        request.permilles,
        budget.energy_j,
        budget.power_w,
        budget.accuracy_floor,
        budget.least_energy,
        budget.strict,
        request.windows,
    )


class Lanes:
    """Everything that waits, by lane and by deadline over all lanes.

    Sorted lists rather than heaps: at a bounded thousand entries moving pointers costs less than
    keeping track of what was removed, and the deadline of any rank can be read off.
    """

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, Lane] = {}
        self._order: list[tuple[float, int, Lane]] = []
        self._due: dict[int, tuple[float, Lane]] = {}
        self.windows = 0
        """Windows that wait."""
        self.count = 0
        """Requests that wait."""

    def __len__(self) -> int:
        return self.count

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._due

    def add(self, request: Request, due_s: float) -> None:
        """Queue a request; ``due_s`` is finite.

        Raises:
            ValueError: A request with this id waits already.
        """
        if request.id in self._due:
            raise ValueError(f"request {request.id} waits already")
        key = lane_key(request)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        insort(lane.line, (due_s, request.id, request))
        lane.many += request.windows > 1
        insort(self._order, (due_s, request.id, lane))
        self.count += 1
        self._due[request.id] = (due_s, lane)
        self.windows += request.windows

    def most_urgent(self, but: Container[Lane] = ()) -> Lane | None:
        """The lane whose head is due first, of all but some."""
        if not but:
            return self._order[0][2] if self._order else None
        return next((lane for _, _, lane in self._order if lane not in but), None)

    def take(self, lane: Lane, count: int) -> tuple[Request, ...]:
        """Remove the first requests of a lane."""
        taken = tuple(entry[2] for entry in lane.line[:count])
        for request in taken:
            self._forget(request.id)
        del lane.line[:count]
        self._count_out(lane, taken)
        return taken

    def remove(self, request_id: int) -> Request | None:
        """Remove one request, if it waits."""
        due = self._due.get(request_id)
        if due is None:
            return None
        due_s, lane = due
        at = bisect_left(lane.line, (due_s, request_id))
        request = lane.line.pop(at)[2]
        self._forget(request_id)
        self._count_out(lane, (request,))
        return request

    def due_at(self, rank: int) -> float:
        """Deadline of the request that is ``rank``-th in line over all lanes, from 0."""
        return self._order[rank][0]

    def first_due(self, count: int) -> list[float]:
        """Deadlines of the first in line over all lanes."""
        return [entry[0] for entry in self._order[:count]]

    def ahead_of(self, due_s: float) -> int:
        """How many wait that are due no later."""
        return bisect_right(self._order, due_s, key=_due_s)

    def _forget(self, request_id: int) -> None:
        due_s, _ = self._due.pop(request_id)
        del self._order[bisect_left(self._order, (due_s, request_id))]
        self.count -= 1

    def _count_out(self, lane: Lane, taken: tuple[Request, ...]) -> None:
        windows = sum(request.windows for request in taken)
        self.windows -= windows
        if windows > len(taken):
            lane.many -= sum(request.windows > 1 for request in taken)
        if not lane.line:
            del self._lanes[lane.key]


def _due_s(entry: tuple[float, int, Lane]) -> float:
    return entry[0]
