"""What can be run now for one group of requests, and what it costs at any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from app.scheduling.types import VariantCost

BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""How many requests a batch may hold: finer steps gain nothing and take longer to weigh."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to serve the head of a queue: one variant for so many requests at once.

    Costs are the host profile's, not slowed down.
    """

    option: VariantCost
    """Of the whole batch."""
    requests: int
    accuracy: float
    latency_s: float
    core_s: float
    """Core time of one window: what running this takes from those who wait."""
    energy_j: float
    """Share of the head of the queue."""

    @property
    def order(self) -> tuple[object, ...]:
        """Smaller is better where nothing is missed: DESIGN 5.8.

        Expected accuracy, then energy, then a larger batch; the rest only makes it a total order.
        """
        option = self.option
        return (
            -self.accuracy,
            self.energy_j,
            -option.batch,
            self.latency_s,
            option.permille,
            option.flops,
            option.threads,
        )


Costs = Callable[[int], Sequence[VariantCost]]
"""The variants that can be run now, at so many windows."""


class Menu:
    """Offers of one group, the best liked first. Replaced by a new one when variants come or go.

    Args:
        costs: The variants there are, never none, at a number of windows.
    """

    def __init__(self, costs: Costs) -> None:
        self._costs = costs
        self._offers: dict[tuple[object, ...], tuple[Offer, ...]] = {}
        self._fastest: dict[tuple[object, ...], float] = {}
        self._least_core_s: dict[tuple[object, ...], float] = {}

    def offers(
        self, windows: Sequence[int], cores: int = 1, permilles: frozenset[int] | None = None
    ) -> tuple[Offer, ...]:
        """Return every batch of the first requests in line, whatever the variant.

        Args:
            windows: Of each request in line, in order.
            cores: Cores that are free and that nobody else waits for: rows may be shared out.
            permilles: Ratios that are asked for; if none of them is here, all are offered.
        """
        key = (tuple(windows), cores, permilles)
        found = self._offers.get(key)
        if found is None:
            found = self._offers[key] = self._list(key[0], cores, permilles)
        return found

    def fastest_s(self, windows: int, cores: int, permilles: frozenset[int] | None = None) -> float:
        """Shortest inference of one request."""
        key = (windows, cores, permilles)
        found = self._fastest.get(key)
        if found is None:
            offers = self.offers((windows,), cores, permilles)
            found = self._fastest[key] = min(offer.latency_s for offer in offers)
        return found

    def least_core_s(self, most_windows: int) -> float:
        """Least core time of one window, at the batch that suits the smallest variant best."""
        key = (most_windows,)
        found = self._least_core_s.get(key)
        if found is None:
            offers = self.offers((1,) * most_windows)
            found = self._least_core_s[key] = min(offer.core_s for offer in offers)
        return found

    def least_window_j(self, most_windows: int) -> float:
        """Least energy of one window, at the batch that suits the smallest variant best."""
        return min(offer.energy_j for offer in self.offers((1,) * most_windows))

    def _list(
        self, windows: tuple[int, ...], cores: int, permilles: frozenset[int] | None
    ) -> tuple[Offer, ...]:
        totals = list(accumulate(windows))
        shares = (1,) if cores == 1 or totals[-1] == 1 else (1, cores)
        offers = []
        for requests in (b for b in BATCHES if b <= len(windows)):
            total = totals[requests - 1]
            for share in shares:
                if share == 1 or (total > 1 and requests == len(windows)):
                    offers += self._at(windows[0], requests, total, min(share, total))
        asked = [o for o in offers if permilles is None or o.option.permille in permilles]
        return tuple(sorted(asked or offers, key=lambda offer: offer.order))

    def _at(self, own: int, requests: int, windows: int, cores: int) -> list[Offer]:
        offers = []
        for option in self._costs(-(-windows // cores)):
            whole = option
            if cores > 1:
                whole = VariantCost(
                    permille=option.permille,
                    flops=option.flops,
                    latency_s=option.latency_s,
                    energy_j=option.energy_j * windows / option.batch,
                    expected_accuracy=option.expected_accuracy,
                    batch=windows,
                    threads=option.threads,
                    cores=cores,
                )
            offers.append(
                Offer(
                    option=whole,
                    requests=requests,
                    accuracy=option.expected_accuracy,
                    latency_s=option.latency_s,
                    core_s=option.latency_s * cores / windows,
                    energy_j=whole.energy_j * own / windows,
                )
            )
        return offers
