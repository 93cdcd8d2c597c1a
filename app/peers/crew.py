"""One worker among several: what it tells the others, and what it takes from them."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from app.errors import RequestError
from app.peers.rundir import Change, RunDir, State
from app.telemetry.families import Families
from app.telemetry.merging import Ratchet, merged

logger = logging.getLogger(__name__)

_PERIOD_S = 1.0
_FRESH_S = 4.0
"""A worker that has said nothing for longer is not known to be well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which of the workers this one is."""

    slot: int
    slots: int
    leads: bool
    """Whether it speaks for the node: its power, its idling, who used its energy."""

    @classmethod
    def alone(cls) -> Place:
        """That of a service with a single process."""
        return cls(slot=0, slots=1, leads=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What a worker can say of itself, and do when it is told to."""

    families: Callable[[], Families]
    ready: Callable[[], bool]
    ailments: Callable[[], tuple[str, ...]]
    charged_j: Callable[[], float]
    charge_others: Callable[[float], None]
    """Told of energy that requests in other processes were charged."""
    wanted_w: Callable[[], Awaitable[float]]
    """Power that it would draw if nothing held it back, idle power excluded."""
    carry_out: Callable[[Change, str, str | None], Awaitable[Any]]
    """Loads or unloads a model."""


class Crew:
    """Keeps this worker and the others in step. Lives on one event loop.

    Args:
        rundir: Where they see each other.
        place: Which one this is.
    """

    def __init__(self, rundir: RunDir, place: Place) -> None:
        self.rundir = rundir
        self.place = place
        self._me = f"{place.slot}-{os.getpid()}"
        self._ratchet = Ratchet()
        self._writing = asyncio.Lock()
        self._charged_j: dict[str, float] = {}
        self._order = 0
        self._in_step = False

    def speak_for(self, voice: Voice) -> None:
        """Say from now on how this worker is."""
        self._voice = voice

    async def run(self) -> None:
        """Tell and listen once a second, until cancelled."""
        while True:
            try:
                await self._publish()
                if self.place.leads:
                    self._charge_others()
                await self._carry_out_orders()
                self._in_step = True
            except Exception:
                logger.exception("could not keep in step with the other processes")
            await asyncio.sleep(_PERIOD_S)

    async def families(self) -> Families:
        """Read the metrics of all processes together."""
        await self._publish()
        return await asyncio.to_thread(lambda: merged(self.rundir.samples()))

    async def say_farewell(self) -> None:
        """Tell the last that there is to tell."""
        await self._publish()

    def obstacles(self) -> tuple[str, ...]:
        """Why the service is not ready although this process is; nothing if all others are."""
        if not self._in_step:
            return ("this process has not heard of the others yet",)
        now_s = time.monotonic()
        states = self.rundir.states(self.place.slots)
        return tuple(
            f"process {slot + 1} of {self.place.slots} is not ready"
            for slot, state in enumerate(states)
            if slot != self.place.slot
            and (state is None or not state.ready or now_s - state.at_s > _FRESH_S)
        )

    def others_wanted_w(self) -> float:
        """Power that the other processes would draw if nothing held them back."""
        now_s = time.monotonic()
        return sum(
            state.wanted_w
            for state in self.rundir.states(self.place.slots)
            if state is not None
            and state.slot != self.place.slot
            and now_s - state.at_s <= _FRESH_S
        )

    def order(self, what: Change, name: str, version: str | None) -> None:
        """Have the others make a change that was made here."""
        self.rundir.put_order(self._me, what, name, version)

    async def _publish(self) -> None:
        async with self._writing:  # what is older must not be written later
            voice = self._voice
            families = self._ratchet(voice.families())
            state = State(
                slot=self.place.slot,
                pid=os.getpid(),
                at_s=time.monotonic(),
                ready=voice.ready() and self._in_step,
                ailments=voice.ailments(),
                charged_j=voice.charged_j(),
                wanted_w=await voice.wanted_w(),
            )
            await asyncio.to_thread(self.rundir.put_samples, self._me, families)
            await asyncio.to_thread(self.rundir.put_state, state)

    def _charge_others(self) -> None:
        for state in self.rundir.states(self.place.slots):
            if state is None or state.slot == self.place.slot:
                continue
            before_j = self._charged_j.get(state.id)
            self._charged_j[state.id] = state.charged_j
            if before_j is not None and state.charged_j > before_j:
                self._voice.charge_others(state.charged_j - before_j)

    async def _carry_out_orders(self) -> None:
        for order in self.rundir.orders_after(self._order):
            if order.by != self._me:
                try:
                    await self._voice.carry_out(order.what, order.name, order.version)
                except RequestError as error:
                    logger.warning("could not %s %s too: %s", order.what, order.name, error)
            self._order = order.number
