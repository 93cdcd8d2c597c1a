"""Every warm variant runs before requests may come: what has never run is not ready."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sentryfuse.errors import BundleError
from sentryfuse.spec import ModelSpec
from sentryfuse.variants import Variant


def rehearse(variants: Iterable[Variant], spec: ModelSpec) -> None:
    """Run each variant on silence, on one window and on two.

    A graph is the same at every batch, so larger ones would tell nothing new, and what they take
    of memory is given back before the first request. Takes milliseconds for each variant of the
    shipped bundle; better on a thread where nobody waits for it than in somebody's first request.

    Args:
        variants: In memory.
        spec: Of their model.

    Raises:
        BundleError: A variant answers something that is no finite number.
    """
    held = list(variants)
    for windows in (1, 2):
        silence = {
            m.name: np.zeros((windows, m.length, m.channels), np.float32) for m in spec.modalities
        }
        for variant in held:
            presence = variant.card.presence
            names = presence.names(spec.modality_names)
            if not np.isfinite(variant.run({name: silence[name] for name in names})).all():
                raise BundleError(
                    f"the variant of presence {presence.hex} at {variant.card.permille / 1000:g} "
                    f"must answer finite numbers for {windows} windows of zeros"
                )
