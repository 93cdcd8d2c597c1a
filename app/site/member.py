"""One process among those that share a site's cap: what it may use, and what it writes next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from app.site.ledger import Entry, Ledger
from app.site.sharing import due_mw, next_lent_mw, pool_mw

LEASE_S = 5.0
"""A loan holds for so long from the moment at which its renewal began. All releases that share a
form of the ledger must agree on it."""
EARLY_S = 1.0
"""A loan is not used for so long at its end: power takes a moment to come down."""
MARGIN_S = 1.0
"""Others count a loan for so much longer: clocks may differ in pace by a fifth."""
SILENT_S = 2.0
"""Who has not renewed for so long is not asking for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a process was told of its site and its node."""

    node: str
    process: str
    """Its own, and never used again."""
    cap_w: float
    """The site must keep under it."""
    guaranteed_w: float
    """Sum of the shares of all nodes that the site can have."""
    share_w: float
    """What this node may use whatever happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a process was lent."""

    lent_mw: int = 0
    epoch: str = ""
    until_s: float = -math.inf

    def usable_mw(self, now_s: float) -> int:
        """What of it may be used at a moment."""
        return self.lent_mw if now_s < self.until_s - EARLY_S else 0


@dataclass(frozen=True, slots=True)
class _Watch:
    """What this process has seen of the ledger, by its own clock alone."""

    epoch: str = ""
    since_s: float = math.inf
    """When it first saw this epoch."""
    version: int = 0
    seen: Mapping[str, tuple[int, float]] | None = None
    """The renewal of each entry, and when it was first seen."""

    def after(self, ledger: Ledger, now_s: float) -> _Watch:
        known = self if ledger.epoch == self.epoch else _Watch(ledger.epoch, now_s)
        before = known.seen or {}
        seen = {}
        for name, entry in ledger.entries.items():
            held = before.get(name)
            same = held is not None and held[0] == entry.renewed
            seen[name] = held if same and held is not None else (entry.renewed, now_s)
        return replace(known, version=ledger.version, seen=seen)

    def unheard_s(self, name: str, now_s: float) -> float:
        """For how long an entry has not been renewed."""
        return now_s - self.seen[name][1] if self.seen and name in self.seen else 0.0

    def goes_back(self, ledger: Ledger) -> bool:
        """Whether a ledger is older than one that was seen."""
        return ledger.epoch == self.epoch and ledger.version < self.version


class Member:
    """Decides for one process. Every time is a reading of its one clock.

    A round goes: read the ledger, :meth:`propose` what to write in its place, and if that took
    the place of exactly what was read, :meth:`agree`. A round may end at any point and leave it
    open whether the proposal was written; the next one begins with reading again.

    Args:
        terms: What it was told.
        new_epoch: Makes a name that was never used.
    """

    def __init__(self, terms: Terms, *, new_epoch: Callable[[], str]) -> None:
        self.terms = terms
        self.pool_w = 0.0
        """What the site can lend, as of the last round."""
        self.nodes = 0
        """Processes that were heard of in it, this one included."""
        self._new_epoch = new_epoch
        self._holding = Holding()
        self._offer: Holding | None = None
        self._watch = _Watch()

    @property
    def holding(self) -> Holding:
        """What it was lent."""
        return self._holding

    def usable_w(self, now_s: float) -> float:
        """Power that the node may draw at a moment."""
        return self.terms.share_w + self._holding.usable_mw(now_s) / 1000

    def lent_w(self, now_s: float) -> float:
        """What of it is lent."""
        return self._holding.usable_mw(now_s) / 1000

    def propose(
        self,
        found: Ledger | None,
        server: str,
        *,
        demand_w: float,
        idle_w: float,
        began_s: float,
        now_s: float,
    ) -> Ledger:
        """Say what to write in the place of what was found.

        What this gives back it has ceased to use by then.

        Args:
            found: The ledger; None if there is none.
            server: Which run of the store answered.
            demand_w: Power that the node would draw if nothing held it back.
            idle_w: Power that it draws in any case.
            began_s: Before the ledger was asked for.
            now_s: After it had come.
        """
        if found is None or found.server != server or self._watch.goes_back(found):
            # Who holds something enters it anew; nobody is lent more until all that was
            # forgotten must have run out.
            found = Ledger(epoch=self._new_epoch(), server=server, version=0, entries={})
        self._watch = self._watch.after(found, now_s)
        held_mw = self._held_mw(found, now_s)
        others = {n: e for n, e in found.entries.items() if n != self.terms.process}
        gone = frozenset(n for n in others if self._watch.unheard_s(n, now_s) >= LEASE_S + MARGIN_S)
        others = {n: e for n, e in others.items() if n not in gone}
        mine = self._entry(held_mw, demand_w=demand_w, idle_w=idle_w)
        lent_mw = self._lent_mw(mine, others, now_s)
        if lent_mw < self._holding.lent_mw:
            self._holding = replace(self._holding, lent_mw=lent_mw)
        self._offer = Holding(lent_mw=lent_mw, epoch=found.epoch, until_s=began_s + LEASE_S)
        entry = replace(mine, lent_mw=lent_mw)
        return found.with_entry(self.terms.process, entry, without=gone)

    def agree(self) -> None:
        """Take what was proposed: it was written."""
        assert self._offer is not None
        self._holding, self._offer = self._offer, None

    def give_up(self) -> None:
        """Use nothing that was lent any more."""
        self._holding, self._offer = Holding(), None

    def _held_mw(self, ledger: Ledger, now_s: float) -> int:
        """What the ledger lends this process, or must once more."""
        written = ledger.entries.get(self.terms.process)
        if written is None:
            if self._holding.epoch != ledger.epoch:
                return self._holding.usable_mw(now_s)
            self._holding = Holding()  # struck out by others, who may have got it by now
            return 0
        if written.lent_mw < self._holding.lent_mw:
            self._holding = replace(self._holding, lent_mw=written.lent_mw)
        return written.lent_mw

    def _lent_mw(self, mine: Entry, others: Mapping[str, Entry], now_s: float) -> int:
        silent = {name for name in others if self._watch.unheard_s(name, now_s) >= SILENT_S}
        everyone = {**others, self.terms.process: mine}
        pool = pool_mw(everyone, silent)
        kept_mw = sum(others[name].lent_mw for name in silent)
        heard = {name: entry for name, entry in everyone.items() if name not in silent}
        self.pool_w, self.nodes = pool / 1000, len(heard)
        return next_lent_mw(
            held_mw=mine.lent_mw,
            due_mw=due_mw(heard, max(pool - kept_mw, 0))[self.terms.process],
            free_mw=pool - sum(entry.lent_mw for entry in everyone.values()),
            pool_mw=pool,
            may_grow=now_s - self._watch.since_s >= LEASE_S + MARGIN_S,
        )

    def _entry(self, lent_mw: int, *, demand_w: float, idle_w: float) -> Entry:
        terms = self.terms
        return Entry(
            node=terms.node,
            cap_mw=math.floor(1000 * terms.cap_w),
            guaranteed_mw=math.ceil(1000 * terms.guaranteed_w),
            share_mw=math.ceil(1000 * terms.share_w),
            idle_mw=round(1000 * idle_w),
            demand_mw=round(1000 * demand_w),
            lent_mw=lent_mw,
            renewed=0,
        )
