"""The highest rate that a server keeps, in few tries."""

from __future__ import annotations

from collections.abc import Callable

STEP = 1.12
"""Between two rates that are tried."""


def highest_rate(keeps: Callable[[float], bool], *, least_hz: float, most_hz: float) -> float:
    """Halve the rates between two until the highest one that is kept is found.

    Rates are ``least_hz`` times powers of :data:`STEP`; of a dozen of them four are tried. It is
    taken that who keeps a rate keeps all lower ones.

    Args:
        keeps: Tries a rate.
        least_hz: The lowest that is of interest.
        most_hz: None above this is tried.

    Returns:
        The rate; 0 if not even the lowest is kept.

    Raises:
        ValueError: The rates make no range.
    """
    if not 0 < least_hz <= most_hz:
        raise ValueError(f"0 < least_hz <= most_hz must hold, got {least_hz:g} and {most_hz:g}")
    rates = [least_hz]
    while rates[-1] * STEP <= most_hz:
        rates.append(rates[-1] * STEP)
    low, high = -1, len(rates)  # the highest known to be kept, the lowest known not to be
    while high - low > 1:
        middle = (low + high) // 2
        if keeps(rates[middle]):
            low = middle
        else:
            high = middle
    return rates[low] if low >= 0 else 0.0
