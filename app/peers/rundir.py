"""The directory through which the processes of one service see each other.

Private, on the local file system, and gone with the service. Every file has one writer at a time
and is replaced in one step, so a reader never sees half of one; nobody waits for anybody.

    state-SLOT.json     how the worker of a slot is
    samples-ID.json     everything that a worker counted, ID being its slot and process
    departed.json       what workers counted that are gone, and who they are
    cap.json            the node's power cap, as it was last set
    loan.json           what the node was lent of its site's power
    order-N.json        loads and unloads, in the order in which they were asked for
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from app.telemetry.families import Families, Family
from app.telemetry.merging import is_counted, merged

_DEPARTED = "departed.json"
_CAP = "cap.json"
_LOAN = "loan.json"
Change = Literal["load", "unload"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How one worker is, as it said itself."""

    slot: int
    pid: int
    at_s: float
    """When, by the monotonic clock of the machine."""
    ready: bool
    ailments: tuple[str, ...] = ()
    """What only a restart would cure."""
    charged_j: float = 0.0
    """Energy of all its requests."""
    wanted_w: float = 0.0
    """Power that it would draw if nothing held it back, idle power excluded."""

    @property
    def id(self) -> str:
        """Names the worker's samples."""
        return f"{self.slot}-{self.pid}"


@dataclass(frozen=True, slots=True)
class Order:
    """A change of what is served that all workers are to make."""

    number: int
    by: str
    """Who has made it already."""
    what: Change
    name: str
    version: str | None


class RunDir:
    """Reads and writes the directory.

    Args:
        path: Of the directory, which exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cap_seen: tuple[int, int] | None = None

    def put_state(self, state: State) -> None:
        """Say how a worker is."""
        self._write(f"state-{state.slot}.json", asdict(state))

    def states(self, slots: int) -> tuple[State | None, ...]:
        """How every worker is, by slot; None for one that has said nothing yet."""
        found = (self._read(f"state-{slot}.json") for slot in range(slots))
        return tuple(
            None if data is None else State(**{**data, "ailments": tuple(data["ailments"])})
            for data in found
        )

    def put_samples(self, worker: str, families: Families) -> None:
        """Say what a worker counted."""
        self._write(_samples_of(worker), [f.to_json() for f in families.values()])

    def samples(self) -> list[Families]:
        """What all workers counted, those that are gone included.

        Those gone are read last: who goes while this is read is found there, and only there.
        """
        alive: dict[str, Families] = {}
        for path in self._path.glob("samples-*.json"):
            data = self._read(path.name)
            if data is not None:
                alive[path.name] = _families(data)
        departed = self._departed()
        present = [f for name, f in alive.items() if name not in departed["who"]]
        return [*present, _families(departed["families"])]

    def bury(self, worker: str) -> None:
        """Keep what a worker counted that is gone, and forget the rest of it.

        Only the supervisor does so.
        """
        name = _samples_of(worker)
        data, departed = self._read(name), self._departed()
        if data is None or name in departed["who"]:
            return
        counted = {n: f for n, f in _families(data).items() if is_counted(f)}
        total = merged([_families(departed["families"]), counted])
        content = {
            "who": [*departed["who"], name],
            "families": [f.to_json() for f in total.values()],
        }
        self._write(_DEPARTED, content)
        (self._path / name).unlink(missing_ok=True)

    def forget_state(self, slot: int) -> None:
        """Forget how the worker of a slot was: it is gone."""
        (self._path / f"state-{slot}.json").unlink(missing_ok=True)

    def put_cap(self, content: Mapping[str, object]) -> None:
        """Say what the node's power cap is from now on."""
        self._write(_CAP, content)
        self._cap_seen = self._cap_mark()

    def cap_news(self) -> dict[str, Any] | None:
        """What the cap was set to, if another process has set it since the last call."""
        mark = self._cap_mark()
        if mark is None or mark == self._cap_seen:
            return None
        self._cap_seen = mark
        content: dict[str, Any] | None = self._read(_CAP)
        return content

    def put_loan(self, content: Mapping[str, object]) -> None:
        """Say what the node was lent."""
        self._write(_LOAN, content)

    def loan(self) -> dict[str, Any] | None:
        """What the node was lent, as it was last said."""
        content: dict[str, Any] | None = self._read(_LOAN)
        return content

    def put_order(self, by: str, what: Change, name: str, version: str | None) -> Order:
        """Ask all other workers for a change."""
        content = orjson.dumps({"by": by, "what": what, "name": name, "version": version})
        number = max(self._numbers(), default=0) + 1
        while True:
            draft = self._path / f".{by}.order"
            draft.write_bytes(content)
            try:
                os.link(draft, self._path / f"order-{number}.json")  # fails where there is one
            except FileExistsError:
                number += 1
                continue
            finally:
                draft.unlink()
            return Order(number, by, what, name, version)

    def orders_after(self, number: int) -> list[Order]:
        """Changes that were asked for since, in order."""
        found = []
        for later in sorted(n for n in self._numbers() if n > number):
            data = self._read(f"order-{later}.json")
            assert data is not None
            found.append(Order(later, **data))
        return found

    def _numbers(self) -> Iterable[int]:
        return [int(path.stem.partition("-")[2]) for path in self._path.glob("order-*.json")]

    def _departed(self) -> dict[str, Any]:
        return self._read(_DEPARTED) or {"who": [], "families": []}

    def _cap_mark(self) -> tuple[int, int] | None:
        try:
            found = (self._path / _CAP).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _write(self, name: str, content: object) -> None:
        draft = self._path / f".{name}.{os.getpid()}"
        draft.write_bytes(orjson.dumps(content))
        draft.replace(self._path / name)

    def _read(self, name: str) -> Any:
        try:
            return orjson.loads((self._path / name).read_bytes())
        except FileNotFoundError:
            return None


def _samples_of(worker: str) -> str:
    return f"samples-{worker}.json"


def _families(data: Iterable[list[Any]]) -> Families:
    return {family.name: family for family in map(Family.from_json, data)}
