"""Keeps this node's loan from its site's power: asks for it, renews it, gives it back."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

from app.site import Member, NewerLedgerError, Terms, read_ledger
from app.site.member import EARLY_S
from app.site.reading import OUTCOMES, Outcome, SiteReading
from app.storage import RedisLink, SiteStore, Unavailable

logger = logging.getLogger(__name__)

_PERIOD_S = 0.5
_JITTER = 0.2  # nodes that began together do not meet at every round
_TRIES = 4  # of a round, when others wrote first
_BETWEEN_TRIES_S = 0.03
_FAREWELL_S = 0.5


def site_clock() -> float:
    """Seconds that go on while the node sleeps: a loan runs out meanwhile."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SiteBoard(Protocol):
    """Where the processes of a node read and write what the node was lent."""

    def put_loan(self, content: Mapping[str, object]) -> None:
        """Tell the others."""
        ...

    def loan(self) -> Mapping[str, Any] | None:
        """What was told last."""
        ...


class Follower:
    """A process beside the one that speaks for the node: it keeps to what that one was lent.

    Args:
        share_w: Guaranteed to the node.
        board: Where the other one tells.
        clock: That of all processes of the machine.
    """

    def __init__(
        self, share_w: float, board: SiteBoard, *, clock: Callable[[], float] = site_clock
    ) -> None:
        self._share_w = share_w
        self._board = board
        self._clock = clock

    def cap_w(self) -> float:
        """Power that the node may draw now."""
        reading = self.reading()
        return self._share_w if reading is None else self._share_w + reading.lent_w

    def reading(self) -> SiteReading | None:
        """How the node stands, as the other process said; None until it has."""
        loan = self._board.loan()
        if loan is None:
            return None
        left_s = max(loan["until_s"] - EARLY_S - self._clock(), 0.0)
        reading = SiteReading(**loan["reading"])
        lent_w = reading.lent_w if left_s else 0.0
        return replace(reading, lent_w=lent_w, lent_for_s=left_s if lent_w else 0.0)


class Membership:
    """Goes round and round: read the ledger, propose, replace it. Lives on one event loop.

    Args:
        terms: What the node was told.
        site: Name of the site.
        link: A way to Redis of its own; closed at the end.
        board: Tells the other processes of the node; None if there are none.
        clock: Monotone seconds, sleep included.
        rng: Spreads rounds, and names epochs.
    """

    def __init__(
        self,
        terms: Terms,
        site: str,
        link: RedisLink,
        *,
        board: SiteBoard | None = None,
        clock: Callable[[], float] = site_clock,
        rng: random.Random | None = None,
    ) -> None:
        self.terms = terms
        self.demand: Callable[[], Awaitable[tuple[float, float]]] = self._none
        """Says what the node would draw, and what it draws in any case, in watts."""
        self.changed: Callable[[], None] = lambda: None
        """Called whenever the cap may be another one; returns once that one is kept."""
        self._site = site
        self._link = link
        self._store = SiteStore(link, site)
        self._board = board
        self._clock = clock
        self._rng = rng or random.SystemRandom()
        self._member = Member(terms, new_epoch=lambda: f"{self._rng.getrandbits(96):024x}")
        self._demand_w = terms.share_w
        self._last: Outcome = "unavailable"
        self._rounds: dict[str, int] = dict.fromkeys(OUTCOMES, 0)

    def cap_w(self) -> float:
        """Power that the node may draw now."""
        return self._member.usable_w(self._clock())

    def reading(self) -> SiteReading:
        """How the node stands."""
        now_s, member, terms = self._clock(), self._member, self.terms
        lent_w = member.lent_w(now_s)
        return SiteReading(
            site=self._site,
            node=terms.node,
            cap_w=terms.cap_w,
            guaranteed_w=terms.guaranteed_w,
            share_w=terms.share_w,
            lent_w=lent_w,
            lent_for_s=max(member.holding.until_s - EARLY_S - now_s, 0.0) if lent_w else 0.0,
            demand_w=self._demand_w,
            pool_w=member.pool_w,
            nodes=member.nodes,
            in_touch=self._last == "agreed",
            rounds=dict(self._rounds),
        )

    async def run(self) -> None:
        """Go on until cancelled; a round that fails is counted and the next one comes."""
        while True:
            try:
                self._note(await self.round())
            except Exception:
                logger.exception("could not ask for power of the site")
            self._tell()
            await asyncio.sleep(_PERIOD_S * self._rng.uniform(1 - _JITTER, 1 + _JITTER))

    async def round(self) -> Outcome:
        """Renew the loan, or change it; say how that went."""
        self._demand_w, idle_w = await self.demand()
        try:
            for _ in range(_TRIES):
                outcome = await self._attempt(idle_w)
                if outcome is not None:
                    return outcome
                await asyncio.sleep(self._rng.uniform(0, _BETWEEN_TRIES_S))
        except Unavailable:
            return "unavailable"
        except NewerLedgerError:
            return "newer"
        return "contended"

    async def close(self) -> None:
        """Give back what was lent, if that can be done at once, and close the link."""
        self._member.give_up()
        self._tell()
        try:
            async with asyncio.timeout(_FAREWELL_S):
                read = await self._store.read()
                ledger = read_ledger(read.value)
                if ledger is not None and ledger.server == read.server:
                    left = ledger.struck_out(self.terms.process)
                    await self._store.swap(read, left.to_bytes())
        except (Unavailable, NewerLedgerError, TimeoutError):
            logger.info("what the site lent could not be given back: it runs out")
        await self._link.close()

    async def _attempt(self, idle_w: float) -> Outcome | None:
        """Try to write once; None where somebody else did meanwhile."""
        began_s, before_w = self._clock(), self._member.holding.lent_mw
        read = await self._store.read()
        proposed = self._member.propose(
            read_ledger(read.value),
            read.server,
            demand_w=self._demand_w,
            idle_w=idle_w,
            began_s=began_s,
            now_s=self._clock(),
        )
        if self._member.holding.lent_mw < before_w:
            self._tell()  # nobody may get what is still used
            if self._board is not None:
                return "agreed"  # the other processes have a round's time to follow
        if not await self._store.swap(read, proposed.to_bytes()):
            return None
        self._member.agree()
        self._tell()
        return "agreed"

    def _tell(self) -> None:
        if self._board is not None:
            until_s = max(self._member.holding.until_s, 0.0)  # JSON knows no infinity
            self._board.put_loan({"reading": asdict(self.reading()), "until_s": until_s})
        self.changed()

    def _note(self, outcome: Outcome) -> None:
        """Count; tell when it turns."""
        self._rounds[outcome] += 1
        if (outcome == "agreed") != (self._last == "agreed"):
            if outcome == "agreed":
                logger.info("in touch with the site %s", self._site)
            else:
                logger.warning(
                    "out of touch with the site %s (%s): down to %g W in %g s",
                    *(self._site, outcome, self.terms.share_w, self.reading().lent_for_s),
                )
        self._last = outcome

    async def _none(self) -> tuple[float, float]:
        return self.terms.share_w, 0.0
