"""How fast sensors may send: so many samples a second, in bursts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.errors import ShedError
from sentryfuse.spec import ModalitySpec


class Pace:
    """A bucket of samples that fills at a steady rate (token bucket).

    Args:
        rate_hz: Samples per second in the long run.
        burst: Samples that may come at once.
        now_s: The bucket is full at this time.
    """

    def __init__(self, rate_hz: float, burst: int, now_s: float) -> None:
        self.rate_hz = rate_hz
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def allows(self, samples: int, now_s: float) -> bool:
        """Whether so many may come now; does not take them."""
        self._tokens = min(self.burst, self._tokens + (now_s - self._at_s) * self.rate_hz)
        self._at_s = now_s
        return samples <= self._tokens

    def take(self, samples: int) -> None:
        """Let samples in that were allowed."""
        self._tokens -= samples


class Paces:
    """The pace of every sensor: two windows or a second's worth at once, whichever is more.

    Args:
        modalities: The sensors; one without rate may send a value each second.
        speed: The multiple of its rate that each may send at in the long run.
        now_s: When the stream begins.
    """

    def __init__(self, modalities: Iterable[ModalitySpec], speed: float, now_s: float) -> None:
        self._paces = {}
        for modality in modalities:
            rate_hz = speed * (modality.rate_hz or modality.length)
            burst = int(max(2 * modality.length, rate_hz))
            self._paces[modality.name] = Pace(rate_hz, burst, now_s)

    def admit(self, counts: Mapping[str, int], now_s: float) -> None:
        """Let so many samples in by sensor, all of them or none.

        Raises:
            ShedError: One sensor sends too fast; says how fast it may.
        """
        for name, count in counts.items():
            pace = self._paces[name]
            if not pace.allows(count, now_s):
                raise ShedError(
                    f"modality {name!r} may send {pace.rate_hz:g} samples per second and "
                    f"{pace.burst} at once, got {count} more",
                    reason="pace",
                    retry_after_s=count / pace.rate_hz,
                )
        for name, count in counts.items():
            self._paces[name].take(count)
