"""One bundle as a torch model and as variants, fed with the same raw windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sentryfuse.bundle import Bundle
from sentryfuse.learn.backbones import build_backbone
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.units import Inventory
from sentryfuse.variants import VariantBuilder

Windows = Mapping[str, NDArray[np.float32]]


class Twins:
    """A bundle's torch model in float64, its slices, and its variants."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.builder = VariantBuilder(bundle)
        self.model = build_backbone(bundle.spec).double().eval()
        self.model.load_state_dict({n: torch.from_numpy(w) for n, w in bundle.weights.items()})

    @torch.no_grad()
    def assert_agree(self, mask: Mask, windows: Windows) -> None:
        """Compare the masked model with the sliced one and with the variant."""
        standardised = self._standardise(windows)
        masked = self.model(standardised, torch.tensor(mask.keep.astype(np.float64)))
        sliced = self.model.select(mask.presence, mask.keep)(standardised)
        torch.testing.assert_close(sliced, masked, rtol=0, atol=1e-10)
        variant = torch.from_numpy(self.builder.build(mask).run(windows)).double()
        torch.testing.assert_close(variant, masked, rtol=0, atol=1e-4)

    def _standardise(self, windows: Windows) -> dict[str, Tensor]:
        """Return what the torch model reads where a variant reads raw windows."""
        normalisation = self.bundle.normalisation
        return {
            name: torch.from_numpy(
                (w - np.array(normalisation[name].mean)) / np.array(normalisation[name].std)
            )
            for name, w in windows.items()
        }


def random_mask(inventory: Inventory, presence: Presence, *, keep: float, seed: int = 0) -> Mask:
    """Keep each unit by chance, one at least in every layer: nothing a gate would choose."""
    rng = np.random.default_rng(seed)
    kept = rng.random(inventory.num_units) < keep
    for layer in inventory.layers:
        kept[rng.integers(layer.offset, layer.offset + layer.count)] = True
    return Mask(presence, 0, kept & inventory.active(presence))
