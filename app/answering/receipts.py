"""Writes the receipt of a request from what its steps took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.answering.answer import Company, Receipt, Step, spendings, variant_name
from app.answering.ask import Ask
from app.inference.lineup import Lineup
from app.inference.pump import Served
from sentryfuse.energy import Meter


@dataclass(frozen=True, slots=True)
class Attempt:
    """One inference of a request."""

    served: Served
    submitted_s: float
    probabilities: NDArray[np.float32]
    """``[batch, classes]``."""

    @property
    def permille(self) -> int:
        """Ratio of the variant that ran."""
        return self.served.dispatch.offer.option.permille

    @property
    def energy_j(self) -> float:
        """Energy of the inference, and of reading the request if it was the first."""
        return self.served.inference_j + self.served.reading_j

    @property
    def confidence(self) -> float:
        """Least top probability over the windows."""
        return float(self.probabilities.max(axis=1).min())


def write_receipt(
    ask: Ask,
    lineup: Lineup,
    attempts: Sequence[Attempt],
    *,
    parse_s: float,
    build_s: float,
    total_s: float,
    idle_power_w: float,
    arrival_rate_hz: float,
    meter: Meter,
) -> Receipt:
    """Add up what a request cost and set it beside what it was allowed.

    Args:
        ask: The request.
        lineup: Where its variants came from.
        attempts: Its inferences, the last of which answered; at least one.
        parse_s: Time to read it.
        build_s: Time to build a variant for it.
        total_s: From its last byte until now.
        idle_power_w: Of the node.
        arrival_rate_hz: Requests per second; less than one counts as one.
        meter: Says how the energies are known.
    """
    last = attempts[-1].served
    reading_j = sum(a.served.reading_j for a in attempts)
    inference_j = sum(a.served.inference_j for a in attempts)
    energy_j = reading_j + inference_j
    return Receipt(
        parse_s=parse_s,
        build_s=build_s,
        queue_s=ask.waited_s + sum(a.served.dispatch.now_s - a.submitted_s for a in attempts),
        batch_wait_s=sum(a.served.run.began_s - a.served.dispatch.now_s for a in attempts),
        inference_s=sum(a.served.run.latency_s for a in attempts),
        total_s=total_s,
        reading_j=reading_j,
        inference_j=inference_j,
        energy_source=meter.source,
        energy_quality=meter.quality,
        budget=spendings(
            ask.budget,
            latency_s=total_s,
            energy_j=energy_j,
            power_w=idle_power_w + max(arrival_rate_hz, 1.0) * energy_j,
            accuracy=last.dispatch.offer.accuracy,
        ),
        batch=Company(
            requests=len(last.dispatch.requests),
            windows=last.dispatch.offer.option.batch,
            cores=last.dispatch.cores,
        ),
        steps=tuple(_step(attempt, lineup) for attempt in attempts) if ask.cascade else (),
    )


def _step(attempt: Attempt, lineup: Lineup) -> Step:
    return Step(
        variant=variant_name(lineup.presence, attempt.permille),
        confidence=attempt.confidence,
        inference_s=attempt.served.run.latency_s,
        energy_j=attempt.served.inference_j,
    )
