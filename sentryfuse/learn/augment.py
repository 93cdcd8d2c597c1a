"""Random changes of training windows that leave their label as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from sentryfuse.learn.settings import AugmentSettings
from sentryfuse.spec import Normalisation


class Augmenter:
    """Rotate, scale, shift, add noise and drop channels; returns standardised windows.

    Rotation and scaling act on raw values, since turning a sensor mixes axes in their own
    units; noise and dropped channels act on standardised ones.

    Args:
        settings: What to do, and how much.
        normalisation: Training statistics of each modality.
    """

    def __init__(
        self, settings: AugmentSettings, normalisation: Mapping[str, Normalisation]
    ) -> None:
        self._settings = settings
        self._mean = {k: torch.tensor(n.mean) for k, n in normalisation.items()}
        self._std = {k: torch.tensor(n.std) for k, n in normalisation.items()}
        self._absent = {k: math.nan if n.gaps else 0.0 for k, n in normalisation.items()}

    def __call__(self, name: str, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Return an augmented, standardised copy of ``raw``, ``[batch, time, channels]``."""
        s = self._settings
        batch, _, channels = raw.shape
        x = raw
        if s.rotation_deg and name in s.rotate:
            rotation = random_rotations(batch, math.radians(s.rotation_deg), generator)
            triads = x.reshape(batch, -1, 3) @ rotation.transpose(1, 2)
            x = triads.reshape(raw.shape)
        if s.scale_std:
            x = x * (1 + s.scale_std * torch.randn(batch, 1, channels, generator=generator))
        x = (x - self._mean[name]) / self._std[name]
        x = torch.where(x.isfinite(), x, self._absent[name])
        if s.shift:
            x = shift_in_time(x, generator)
        if s.jitter_std:
            x = x + s.jitter_std * torch.randn(x.shape, generator=generator)
        if s.channel_drop:
            kept = torch.rand(batch, 1, channels, generator=generator) >= s.channel_drop
            x = torch.where(kept, x, self._absent[name])
        return x


def shift_in_time(x: Tensor, generator: torch.Generator) -> Tensor:
    """Start each window ``[batch, time, channels]`` at a random sample, wrapping around."""
    batch, time, channels = x.shape
    start = torch.randint(time, (batch, 1), generator=generator)
    index = (start + torch.arange(time)) % time
    return x.gather(1, index[..., None].expand(-1, -1, channels))


def random_rotations(count: int, max_angle: float, generator: torch.Generator) -> Tensor:
    """Rotation matrices about random axes by up to ``max_angle`` radians, ``[count, 3, 3]``."""
    axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    angle = (2 * torch.rand(count, 1, 1, generator=generator) - 1) * max_angle
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).view(count, 3, 3)
    # Rodrigues' formula.
    return torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)
