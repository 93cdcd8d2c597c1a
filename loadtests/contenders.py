"""The policies that load tests compare, by the simulator's names."""

from __future__ import annotations

from app.scheduling.fair_slack import Policy
from sentryfuse.bench.policies.rivals import OURS, contender

__all__ = ["OURS", "policy_named"]


def policy_named(name: str) -> Policy:
    """Return a policy.

    Raises:
        KeyError: There is no such policy.
    """
    return contender(name).policy
