from __future__ import annotations

import numpy as np
import pytest

from app.inference.rehearsal import rehearse
from sentryfuse.errors import BundleError
from sentryfuse.presence import Presence
from sentryfuse.variants import Variant, VariantBuilder
from tests.bundles import random_bundle, small_spec

Ran = list[tuple[str, int, int]]


def built(*keys: tuple[Presence, float]) -> list[Variant]:
    builder = VariantBuilder(random_bundle(small_spec()))
    return [builder.build(builder.mask(presence, ratio)) for presence, ratio in keys]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Presence, ratio and windows of every inference."""
    seen: Ran = []
    run = Variant.run

    def spy(self: Variant, inputs: dict[str, np.ndarray]) -> np.ndarray:
        sizes = {len(rows) for rows in inputs.values()}
        seen.append((self.card.presence.hex, self.card.permille, *sizes))
        return run(self, inputs)

    monkeypatch.setattr(Variant, "run", spy)
    return seen


def test_every_variant_runs_on_one_window_and_on_several(ran: Ran) -> None:
    rehearse(built((Presence.full(5), 0.0), (Presence.of([0, 3], 5), 0.9)), small_spec())
    assert sorted(ran) == [("09", 900, 1), ("09", 900, 2), ("1f", 0, 1), ("1f", 0, 2)]


def test_a_variant_that_answers_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    variants = built((Presence.full(5), 0.5))
    monkeypatch.setattr(Variant, "run", lambda self, inputs: np.full((1, 4), np.nan))
    with pytest.raises(BundleError, match=r"presence 1f at 0\.5"):
        rehearse(variants, small_spec())
