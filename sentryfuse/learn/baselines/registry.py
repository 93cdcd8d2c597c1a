"""Every pruning method by its name in tables and configurations."""

from __future__ import annotations

from sentryfuse.errors import ConfigError
from sentryfuse.gate import Gate
from sentryfuse.learn.baselines.correction import mask_tuning
from sentryfuse.learn.baselines.data_free import Magnitude, Random
from sentryfuse.learn.baselines.fisher import Fisher
from sentryfuse.learn.baselines.flap import Flap, bias_compensation
from sentryfuse.learn.baselines.method import Method, equal_shares, one_order
from sentryfuse.learn.baselines.sentry_gate import GateScorer
from sentryfuse.learn.baselines.synflow import SynFlow
from sentryfuse.learn.baselines.taylor import Taylor
from sentryfuse.learn.baselines.wanda import Wanda

OURS = "sentrygate"

_BASELINES = {
    method.name: method
    for method in (
        Method(name="random", rank=equal_shares(Random()), static=True),
        Method(name="magnitude", rank=equal_shares(Magnitude()), static=True),
        Method(name="synflow", rank=equal_shares(SynFlow()), static=True),
        Method(name="wanda", rank=equal_shares(Wanda()), static=True),
        Method(name="taylor", rank=equal_shares(Taylor()), static=True),
        Method(name="taylor_oracle", rank=equal_shares(Taylor()), static=False),
        Method(name="fisher", rank=Fisher().rank, static=True, correct=mask_tuning),
        Method(name="flap", rank=one_order(Flap()), static=True, correct=bias_compensation),
    )
}
BASELINES = tuple(_BASELINES)
"""Names of the methods that are not ours."""


def build_method(name: str, gate: Gate | None = None) -> Method:
    """Return a method by its name.

    Args:
        name: One of :data:`BASELINES`, or :data:`OURS`.
        gate: The trained gate; :data:`OURS` needs one.

    Raises:
        ConfigError: No method has this name, or ours came without its gate.
    """
    if name in _BASELINES:
        return _BASELINES[name]
    if name != OURS:
        raise ConfigError(f"method must be one of {[*BASELINES, OURS]}, got {name!r}")
    if gate is None:
        raise ConfigError(f"method {OURS!r} needs the trained gate")
    return Method(name=OURS, rank=equal_shares(GateScorer(gate)), static=False)
