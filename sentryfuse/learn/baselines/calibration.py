"""The windows that a pruning method may look at, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sentryfuse.data.normalise import standardise
from sentryfuse.data.windows import WindowSet
from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence
from sentryfuse.spec import Normalisation

Inputs = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Standardised windows of the training groups, with every modality.

    A method gets these and the model; it has no other way to data.

    Args:
        inputs: By modality, in the model's order, ``[windows, length, channels]``.
        label: ``[windows]``; read by the methods that need a loss, and by no correction.
        groups: Groups that the windows are from.
    """

    inputs: Inputs
    label: Tensor
    groups: frozenset[int]

    @classmethod
    def draw(
        cls,
        windows: WindowSet,
        normalisation: Mapping[str, Normalisation],
        *,
        groups: Iterable[int],
        count: int,
        generator: torch.Generator,
    ) -> Calibration:
        """Draw windows of these groups without putting any back.

        Args:
            windows: Data set, or a part of it.
            normalisation: Training statistics.
            groups: Groups to draw from: those that the model was trained on.
            count: Windows to draw; all of them where there are fewer.
            generator: Source of chance.

        Raises:
            ConfigError: These groups have no windows, or ``count`` is not positive.
        """
        if count < 1:
            raise ConfigError(f"calibration needs at least one window, got count {count}")
        allowed = tuple(groups)
        pool = windows.of_groups(allowed)
        if not len(pool):
            raise ConfigError(f"no window is of groups {sorted(allowed)}")
        chosen = torch.randperm(len(pool), generator=generator)[:count].numpy()
        drawn = pool.subset(chosen)
        return cls(
            {
                name: torch.from_numpy(array)
                for name, array in standardise(drawn.arrays, normalisation).items()
            },
            torch.from_numpy(drawn.label),
            frozenset(drawn.group.tolist()),
        )

    def __len__(self) -> int:
        return len(self.label)

    def require_apart_from(self, groups: Iterable[int]) -> None:
        """Make sure that nothing was learned from these groups.

        Raises:
            ConfigError: A calibration window is from one of them.
        """
        shared = self.groups & set(groups)
        if shared:
            raise ConfigError(f"calibration windows are from held-out groups {sorted(shared)}")

    def batches(self, presence: Presence, size: int = 64) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield inputs of the present modalities, and labels, a few windows at a time."""
        names = presence.names(tuple(self.inputs))
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield {name: self.inputs[name][rows] for name in names}, self.label[rows]
