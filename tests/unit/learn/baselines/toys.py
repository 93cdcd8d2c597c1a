"""Small models in float64 and calibration windows for them."""

from __future__ import annotations

import torch

from sentryfuse.learn.backbones import Backbone, build_backbone
from sentryfuse.learn.baselines import Calibration
from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from tests.bundles import small_spec

SHAPES = ((12, 3), (7, 1), (9, 2))
BOTH_ENDS = Presence(0b101, 3)
BACKBONES = {
    "maestro": {},
    "flexmoe": {"kind": "flexmoe"},
    "fusemoe": {"kind": "fusemoe"},
    "fusemoe, disjoint": {"kind": "fusemoe", "router": "disjoint", "experts_per_token": 1},
}


def toy_spec(**backbone: object) -> ModelSpec:
    return small_spec(SHAPES, **{"fusion_layers": 1, **backbone})


def toy_model(seed: int = 0, **backbone: object) -> Backbone:
    torch.manual_seed(seed)
    return build_backbone(toy_spec(**backbone)).double().eval()


def toy_windows(spec: ModelSpec, *, count: int = 40, seed: int = 0) -> Calibration:
    source = torch.Generator().manual_seed(seed)
    return Calibration(
        {
            m.name: torch.randn(count, m.length, m.channels, dtype=torch.float64, generator=source)
            for m in spec.modalities
        },
        torch.randint(0, spec.num_classes, (count,), generator=source),
        frozenset({1}),
    )


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
