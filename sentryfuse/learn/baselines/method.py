"""A pruning method from scores to a smaller model: ranking, mask, correction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch

from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.baselines.calibration import Calibration
from sentryfuse.learn.baselines.correction import least_squares
from sentryfuse.learn.baselines.reference import Reference
from sentryfuse.learn.baselines.scorer import Scorer
from sentryfuse.presence import Presence
from sentryfuse.pruning import (
    Mask,
    Projection,
    corrected_weights,
    permille,
    select_jointly,
    select_units,
)
from sentryfuse.units import BoolArray, FloatArray, Inventory

CorrectionKind = Literal["own", "none", "least_squares"]
Correct = Callable[[Backbone, Calibration, Mask, Reference | None], dict[str, Projection]]


class Ranking(Protocol):
    """What a method found out about the units; gives the mask of any budget."""

    @property
    def scores(self) -> FloatArray:
        """Importance of each unit, ``[num_units]``."""
        ...

    def keep(self, presence: Presence, ratio: float) -> BoolArray:
        """Return the units that stay, ``[num_units]``, at least ``ratio`` removed."""
        ...


Rank = Callable[[Backbone, Inventory, Calibration, Presence, torch.Generator], Ranking]


@dataclass(frozen=True, eq=False)
class EqualShares:
    """Heads and channels each give up the ratio, in ascending order of score."""

    inventory: Inventory
    scores: FloatArray

    def keep(self, presence: Presence, ratio: float) -> BoolArray:
        """Select as deployment does (docs/decisions/0003)."""
        return select_units(self.scores, self.inventory, presence, ratio)


@dataclass(frozen=True, eq=False)
class OneOrder:
    """Heads and channels go in one order of scores."""

    inventory: Inventory
    scores: FloatArray

    def keep(self, presence: Presence, ratio: float) -> BoolArray:
        """Select jointly."""
        return select_jointly(self.scores, self.inventory, presence, ratio)


def equal_shares(scorer: Scorer) -> Rank:
    """Rank by these scores, heads and channels apart."""
    return lambda model, inventory, *rest: EqualShares(
        inventory, scorer.scores(model, inventory, *rest)
    )


def one_order(scorer: Scorer) -> Rank:
    """Rank by these scores, heads against channels."""
    return lambda model, inventory, *rest: OneOrder(
        inventory, scorer.scores(model, inventory, *rest)
    )


@dataclass(frozen=True, eq=False)
class Pruning:
    """A mask and what was corrected for it: all that a pruned model differs in.

    Args:
        mask: Units that stay.
        projections: New output projections, by the name of their linear layer.
    """

    mask: Mask
    projections: Mapping[str, Projection] = field(default_factory=dict)

    def apply(self, model: Backbone) -> Backbone:
        """Return the smaller model; ``model`` stays as it is."""
        if self.projections:
            state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
            changed = corrected_weights(state, self.projections)
            model = model.copied()
            model.load_state_dict({name: torch.from_numpy(w) for name, w in changed.items()})
        return model.select(self.mask.presence, self.mask.keep)


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """One way to prune; it is a :class:`Scorer` as well.

    Args:
        name: As in tables.
        rank: How units are scored and masks are made.
        static: Scored once, with every modality present, whatever is missing later.
        correct: What the authors do after the mask is chosen, label-free; None = nothing.
    """

    name: str
    rank: Rank
    static: bool
    correct: Correct | None = None

    def ranking(
        self,
        model: Backbone,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> Ranking:
        """Look at model and calibration; a static method looks with every modality present.

        What comes back serves every ratio, and every presence too if the method is static.
        """
        seen = Presence.full(presence.size) if self.static else presence
        return self.rank(model, model.inventory, calibration, seen, generator)

    def scores(
        self,
        model: Backbone,
        inventory: Inventory,
        calibration: Calibration,
        presence: Presence,
        generator: torch.Generator,
    ) -> FloatArray:
        """Score every unit, ``[num_units]``."""
        seen = Presence.full(presence.size) if self.static else presence
        return self.rank(model, inventory, calibration, seen, generator).scores

    def prune(
        self,
        model: Backbone,
        ranking: Ranking,
        calibration: Calibration,
        presence: Presence,
        ratio: float,
        correction: CorrectionKind = "own",
        reference: Reference | None = None,
    ) -> Pruning:
        """Choose a mask and correct what it does.

        Args:
            model: Unpruned, in evaluation mode; left as it was.
            ranking: From :meth:`ranking`.
            calibration: Training windows; corrections read no labels.
            presence: Modalities that the smaller model reads.
            ratio: Fraction of the prunable FLOPs to remove, [0, 1).
            correction: The authors' own, none, or least squares in its place.
            reference: Of the same model, windows and presence; saves time where several ratios
                are asked for.
        """
        mask = Mask(presence, permille(ratio), ranking.keep(presence, ratio))
        if correction == "least_squares":
            return Pruning(mask, least_squares(model, calibration, mask, reference))
        if correction == "own" and self.correct is not None:
            return Pruning(mask, self.correct(model, calibration, mask, reference))
        return Pruning(mask)
