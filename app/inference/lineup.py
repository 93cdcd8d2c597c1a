"""What can be run for one presence of one model: the group whose requests can share a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from functools import partial

from app.inference.ladder import Rung
from app.inference.registry import Resident, VariantRegistry
from app.scheduling import VariantCost
from app.scheduling.menu import Menu
from sentryfuse.presence import Presence

_MOST_SIZES = 64
Price = Callable[[Sequence[Rung], int], tuple[VariantCost, ...]]
"""What each rung should cost here at so many windows."""


class PriceList:
    """What every ratio should cost, worked out once for each number of windows.

    Args:
        rungs: Every ratio on offer.
        price: What rungs should cost at a number of windows.
    """

    def __init__(self, rungs: Sequence[Rung], price: Price) -> None:
        self._rungs = rungs
        self._price = price
        self._options: OrderedDict[int, tuple[VariantCost, ...]] = OrderedDict()

    def at(self, windows: int) -> tuple[VariantCost, ...]:
        """Return what every ratio should cost at so many windows."""
        options = self._options.get(windows)
        if options is None:
            options = self._options[windows] = self._price(self._rungs, windows)
            if len(self._options) > _MOST_SIZES:
                self._options.popitem(last=False)
        return options

    def of(self, permilles: Container[int], windows: int) -> tuple[VariantCost, ...]:
        """Return what some ratios should cost at so many windows."""
        return tuple(option for option in self.at(windows) if option.permille in permilles)


class Lineup:
    """The variants of one presence in memory, and what every ratio should cost on this host.

    Compared by identity, so that it can be the group of a :class:`app.scheduling.types.Request`.
    The last variant that was in memory stays here until another takes its place: a request that
    waits always finds something to run.

    Args:
        presence: Which modalities.
        rungs: Every ratio on offer.
        price: What rungs should cost at a number of windows.
        registry: Holds the variants.
    """

    def __init__(
        self, presence: Presence, rungs: Sequence[Rung], price: Price, registry: VariantRegistry
    ) -> None:
        self.presence = presence
        self.rungs = tuple(rungs)
        self._prices = PriceList(self.rungs, price)
        self._registry = registry
        self._offer({})
        self.refresh()

    @property
    def complete(self) -> bool:
        """Whether every ratio is in memory."""
        return len(self.residents) == len(self.rungs)

    def options(self, windows: int) -> tuple[VariantCost, ...]:
        """Return what every ratio should cost at so many windows, in memory or not."""
        return self._prices.at(windows)

    def use(self, permille: int) -> Resident:
        """Return a variant that is about to be run."""
        return self._registry.find(self.presence, permille) or self.residents[permille]

    def refresh(self) -> None:
        """Offer what is in memory now."""
        residents = self._registry.held(self.presence, [rung.permille for rung in self.rungs])
        if residents:
            self._offer(residents)

    def _offer(self, residents: Mapping[int, Resident]) -> None:
        self.residents = residents
        # The menu knows prices, not the lineup: what refers to itself does not leave memory with
        # the last request that holds it.
        self.menu = Menu(partial(self._prices.of, frozenset(residents)))


def menu_of(group: Hashable) -> Menu:
    """Return what can be run for a group of requests, which is a :class:`Lineup`."""
    assert isinstance(group, Lineup)
    return group.menu
