"""Capping the processor's frequency through Linux cpufreq, and putting it back."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.energy.sysfs import SYSFS, listing, read_number, read_text
from sentryfuse.errors import ConfigError

logger = logging.getLogger(__name__)

_UNKNOWN_LATENCY_NS = 1e6
_ETERNAL_NS = 2**32 - 1  # CPUFREQ_ETERNAL: the driver doesn't know


@dataclass(frozen=True, slots=True)
class FrequencyPolicy:
    """One group of cores that share a frequency: a ``policyN`` folder of cpufreq."""

    folder: Path
    min_khz: int
    max_khz: int
    """The hardware's own range."""
    transition_latency_s: float
    found: str
    """What ``scaling_max_freq`` held when it was found: what goes back on close."""

    def khz(self, share: float) -> int:
        """The frequency so far from the least (0) to the highest (1)."""
        return self.min_khz + round(share * (self.max_khz - self.min_khz))


class FrequencyCap:
    """Writes ``scaling_max_freq`` of every policy; the governor in place works on below it.

    Nothing is raised once it is made: where cpufreq is missing or may not be written it is
    unavailable and says why. What was found is put back on close and when the interpreter
    exits; a process that is killed can't.

    Args:
        policies: The groups of cores to cap.
        reason: Why there are none.
    """

    def __init__(self, policies: Sequence[FrequencyPolicy], *, reason: str = "") -> None:
        self._policies = tuple(policies)
        self._reason = reason
        self._capped = False
        if self._policies:
            atexit.register(self.close)

    @property
    def policies(self) -> tuple[FrequencyPolicy, ...]:
        """The groups of cores that are capped together."""
        return self._policies

    @property
    def available(self) -> bool:
        """Whether a cap can be written."""
        return not self._reason

    @property
    def reason(self) -> str:
        """Why no cap can be written; empty if one can."""
        return self._reason

    @property
    def transition_latency_s(self) -> float:
        """How long the slowest of the policies takes to change."""
        return max((p.transition_latency_s for p in self._policies), default=0.0)

    def set_share(self, share: float) -> bool:
        """Cap every policy so far from its least (0) to its highest frequency (1).

        One that was found capped lower than that stays as it was found.

        Returns:
            Whether all of them took it. If one didn't, all are put back, and from then on the
            cap is unavailable.

        Raises:
            ConfigError: The share lies outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise ConfigError(f"share must be in [0, 1], got {share}")
        if not self.available:
            return False
        self._capped = True
        for policy in self._policies:
            text = policy.found
            khz = policy.khz(share)
            if khz < int(policy.found):
                text = str(khz)
            if refused := _write(policy, text):
                self._restore()
                self._reason = refused
                logger.warning("the frequency is no longer capped: %s", refused)
                return False
        logger.info("frequency capped at %.0f %% of its range", 100 * share)
        return True

    def close(self) -> None:
        """Put back what was found; a second time does nothing."""
        atexit.unregister(self.close)
        self._restore()
        self._reason = self._reason or "closed"

    def _restore(self) -> None:
        if not self._capped:
            return
        self._capped = False
        for policy in self._policies:
            if refused := _write(policy, policy.found):
                logger.error("the frequency cap could not be lifted: %s", refused)


def open_cpufreq(sysfs_root: Path = SYSFS) -> FrequencyCap:
    """Find the policies of cpufreq and see whether they can be capped.

    To see whether they can be written, each is given the value that it holds already.

    Args:
        sysfs_root: Where sysfs is mounted.

    Returns:
        The cap; an unavailable one with its reason where there is no policy, or one of them
        can't be read or written.
    """
    root = sysfs_root / "devices/system/cpu/cpufreq"
    folders = listing(root, "policy[0-9]*")
    if not folders:
        return FrequencyCap((), reason=f"no cpufreq policy in {root}")
    policies = []
    for folder in folders:
        policy = _policy(folder)
        if policy is None:
            return FrequencyCap((), reason=f"{folder} states no range of frequencies")
        if refused := _write(policy, policy.found):
            return FrequencyCap((), reason=refused)
        policies.append(policy)
    return FrequencyCap(policies)


def _policy(folder: Path) -> FrequencyPolicy | None:
    least, highest = (read_number(folder / f"cpuinfo_{end}_freq") for end in ("min", "max"))
    found = read_text(folder / "scaling_max_freq")
    if least is None or highest is None or found is None or not found.isdecimal():
        return None
    if not 0 < least <= highest:
        return None
    latency_ns = read_number(folder / "cpuinfo_transition_latency")
    if latency_ns is None or not 0 <= latency_ns < _ETERNAL_NS:
        latency_ns = _UNKNOWN_LATENCY_NS
    return FrequencyPolicy(
        folder=folder,
        min_khz=int(least),
        max_khz=int(highest),
        transition_latency_s=latency_ns * 1e-9,
        found=found,
    )


def _write(policy: FrequencyPolicy, text: str) -> str:
    """Write ``scaling_max_freq``; return why it can't be written, empty if it was."""
    path = policy.folder / "scaling_max_freq"
    try:
        path.write_text(f"{text}\n", encoding="ascii")
    except OSError as error:
        return f"{error.strerror or error}: {path}"
    return ""
