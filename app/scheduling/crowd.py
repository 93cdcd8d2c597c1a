"""How long a newcomer would wait behind those who are inside already: the decision at the door.

Reading and parsing a request costs more than its inference may, so under a heavy overload the
scheduler, which sees requests that were read, comes too late: all the time goes into reading what
is then refused. This looks at nothing but how many are inside and how fast they leave.
"""

from __future__ import annotations

_FEW = 4
"""So few may always come in: whom the pace of a crowd would keep out of an idle machine."""
_SPAN_S = 0.1
_NEWS = 0.3  # weight of the newest span
_FIRST_PACE_S = 0.002
_LONGEST_PACE_S = 1.0
_SLOWER = 1.5  # when nobody was served for a span
_WIDEST, _NARROWEST = 0.9, 0.3
_WIDEN, _NARROW = 0.002, 0.97
_SHORTEST_RETRY_S = 0.1
_LONGEST_RETRY_S = 10.0


class Crowd:
    """Counts who is inside, learns at what pace they leave, and says who is too many.

    Whoever is refused gets a place in a line of those who were: each is told to come back when
    all before it could have been served, so that they do not come back together.

    Args:
        now_s: The time now, on the clock of all later calls.
    """

    __slots__ = ("_came_s", "_line_ends_s", "_patience", "_served", "_span_s", "inside", "pace_s")

    def __init__(self, now_s: float) -> None:
        self.inside = 0
        """Requests that have been read, or are being read, and have no answer yet."""
        self.pace_s = _FIRST_PACE_S
        """Time between two answers while somebody waits."""
        self._patience = _WIDEST
        self._came_s = now_s
        self._span_s = 0.0
        self._served = 0
        self._line_ends_s = now_s

    def crowded(self, others: int = 0) -> bool:
        """Whether a newcomer might be refused, behind so many others not counted yet."""
        return self.inside + others >= _FEW

    def wait_s(self, others: int = 0) -> float:
        """Time to the answer of one who comes in now, behind so many others not counted yet."""
        return (self.inside + others + 1) * self.pace_s

    def enter(self, now_s: float) -> None:
        """Count one more."""
        if not self.inside:
            self._came_s = now_s
        self.inside += 1

    def leave(self, now_s: float, *, in_time: bool | None) -> None:
        """Count one less.

        Args:
            now_s: The time now.
            in_time: Whether it was answered within its time; None if that says nothing, such as
                for a request that was wrong.
        """
        self.inside -= 1
        self._span_s += now_s - self._came_s
        self._came_s = now_s
        if in_time:
            self._served += 1
            self._patience = min(self._patience + _WIDEN, _WIDEST)
        elif in_time is not None:
            self._patience = max(self._patience * _NARROW, _NARROWEST)
        if self._span_s >= _SPAN_S:
            seen_s = self._span_s / self._served if self._served else _SLOWER * self.pace_s
            self.pace_s = min(self.pace_s + _NEWS * (seen_s - self.pace_s), _LONGEST_PACE_S)
            self._span_s, self._served = 0.0, 0

    def refusal_s(self, now_s: float, budget_s: float, others: int = 0) -> float | None:
        """Say after how long a newcomer should come back; None if it may come in.

        Args:
            now_s: The time now.
            budget_s: How long it may wait for its answer.
            others: Let in, but not counted yet.
        """
        if not self.crowded(others):
            return None
        late_s = self.wait_s(others) - self._patience * budget_s
        if late_s <= 0:
            return None
        self._line_ends_s = max(self._line_ends_s, now_s + late_s) + self.pace_s
        self._line_ends_s = min(self._line_ends_s, now_s + _LONGEST_RETRY_S)
        return max(self._line_ends_s - now_s, _SHORTEST_RETRY_S)
