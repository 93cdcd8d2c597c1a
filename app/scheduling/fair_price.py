"""Our policy: accuracy, paid for by the core time that it takes from those who wait."""

from __future__ import annotations

import math

from app.scheduling.fair_slack import FairSlack, View
from app.scheduling.menu import Offer
from app.scheduling.price import CoreTimePrice

_MOST_OF_PACE = 1.4
"""Core time that one window may take over the pace, where its group makes the most of it."""


class FairPrice(FairSlack):
    """As FairSlack, but under backlog core time goes to the groups that gain most from it.

    FairSlack gives every window the same core time at most; here the mean over the groups keeps
    the pace. Where core time is not scarce its price is 0, and both choose alike.
    """

    name = "fair-price"

    def __init__(self) -> None:
        self._price = CoreTimePrice()

    def choose(self, view: View) -> Offer:
        """Return the offer within every limit that is worth most after what its time costs.

        Who wants the least energy bids for no core time, and is not counted among those who do.
        """
        if view.request.budget.least_energy:
            return super().choose(view)
        late_factor, slowdown, core_s = view.slowdown + view.margin, view.slowdown, view.core_s
        slack_s, most_core_s = view.slack_s, _MOST_OF_PACE * view.pace_s
        asks_more = not view.request.budget.asks_only_time
        # What is left of the pace for inference if handing over is shared by all who wait.
        most = max(offer.option.batch for offer in view.offers) if view.handover_s else 1
        price = self._price.at((view.pace_s - view.handover_s / most) / slowdown)
        best, worth, least_j = None, -math.inf, math.inf
        for offer in view.offers:
            if offer.accuracy < worth:  # and so is any that follows
                break
            if (
                late_factor * offer.latency_s <= slack_s
                and core_s(offer) <= most_core_s
                and view.affords(offer)
                and (value := offer.accuracy - price * core_s(offer) / slowdown) >= worth
                and (value > worth or view.drawn_j(offer) < least_j)
                and not (asks_more and view.breaks(offer))
            ):
                best, worth, least_j = offer, value, view.drawn_j(offer)
        best = super().choose(view) if best is None else self._sparing(view, best)
        self._price.record(view.menu, best.option.batch)
        return best
