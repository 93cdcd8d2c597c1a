"""Which windows of a stream are answered when the server is behind, and in which order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.streaming.windower import Missed, Window

Reply = TypeVar("Reply")


@dataclass(slots=True)
class _Entry(Generic[Reply]):
    window: Window
    started: bool = False
    reply: Reply | None = None


class Backlog(Generic[Reply]):
    """Windows between being cut and being answered, in their order, never more than a few.

    Args:
        most_running: Most windows that are worked on, or whose reply waits for an earlier one's.
        most_waiting: Most windows beside those; of more, the oldest is given up.
    """

    def __init__(self, most_running: int, most_waiting: int) -> None:
        self._most_running = most_running
        self._most_waiting = most_waiting
        self._entries: deque[_Entry[Reply] | Missed] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def windows(self) -> int:
        """Windows that have no reply yet, or one that was not fetched."""
        return sum(isinstance(entry, _Entry) for entry in self._entries)

    def add(self, closed: Window | Missed) -> int:
        """Line up what was cut.

        Returns:
            How many windows were given up for it.
        """
        self._append(_Entry(closed) if isinstance(closed, Window) else closed)
        waiting = [
            i for i, e in enumerate(self._entries) if isinstance(e, _Entry) and not e.started
        ]
        if len(waiting) <= self._most_waiting:
            return 0
        self._give_up(waiting[0])
        return 1

    def start(self) -> Window | None:
        """Return the oldest window that waits, if one more may be worked on."""
        entries = [entry for entry in self._entries if isinstance(entry, _Entry)]
        if sum(entry.started for entry in entries) >= self._most_running:
            return None
        for entry in entries:
            if not entry.started:
                entry.started = True
                return entry.window
        return None

    def finish(self, number: int, reply: Reply) -> None:
        """Keep the reply to a window that was started."""
        for entry in self._entries:
            if isinstance(entry, _Entry) and entry.window.number == number:
                entry.reply = reply

    def next(self) -> Reply | Missed | None:
        """Return, and forget, what the client is to be told next; None if that is not known yet."""
        if not self._entries:
            return None
        first = self._entries[0]
        if isinstance(first, Missed):
            self._entries.popleft()
            return first
        if first.reply is not None:
            self._entries.popleft()
        return first.reply

    def _append(self, entry: _Entry[Reply] | Missed) -> None:
        last = self._entries[-1] if self._entries else None
        if isinstance(entry, Missed) and isinstance(last, Missed) and last.reason == entry.reason:
            self._entries[-1] = Missed(last.first, entry.last, entry.reason)
        else:
            self._entries.append(entry)

    def _give_up(self, index: int) -> None:
        """Turn an entry into one that is missed, joined with the one before it if that is too."""
        rest = [*self._entries][index:]
        while len(self._entries) > index:
            self._entries.pop()
        assert isinstance(rest[0], _Entry)
        number = rest[0].window.number
        for entry in (Missed(number, number, "behind"), *rest[1:]):
            self._append(entry)
