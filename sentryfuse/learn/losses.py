"""Loss terms of joint training: alignment and binarisation of the gate, distillation."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def alignment(scores: Tensor, target: Tensor, active: Tensor) -> Tensor:
    """Mean squared distance of gate scores from the saliency target, over existing units.

    Args:
        scores: Gate output, ``[num_units]``.
        target: Normalised saliency, ``[num_units]``; no gradient flows into it.
        active: Which units exist for this presence, boolean ``[num_units]``.
    """
    return F.mse_loss(scores[active], target[active].detach())


def binarisation(scores: Tensor) -> Tensor:
    """``mean g (1 - g)``: least where every score is 0 or 1."""
    return (scores * (1 - scores)).mean()


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the pruned answer from the full one (Hinton et al. 2015), T = 1.

    Args:
        student: Logits of the pruned pass, ``[batch, num_classes]``.
        teacher: Logits of the full pass; no gradient flows into them.
    """
    return F.kl_div(
        student.log_softmax(dim=-1),
        teacher.detach().log_softmax(dim=-1),
        reduction="batchmean",
        log_target=True,
    )
