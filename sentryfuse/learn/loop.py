"""Joint training of backbone and gate, epoch by epoch, resumable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sentryfuse.data.normalise import standardise
from sentryfuse.data.windows import WindowSet
from sentryfuse.learn.augment import Augmenter
from sentryfuse.learn.backbones import Backbone, build_backbone
from sentryfuse.learn.curriculum import PresenceCurriculum
from sentryfuse.learn.gate import SentryGate
from sentryfuse.learn.losses import alignment, binarisation, distillation
from sentryfuse.learn.saliency import SALIENCIES, SaliencyTeacher
from sentryfuse.learn.settings import TrainingSettings
from sentryfuse.presence import Presence
from sentryfuse.pruning import select_units
from sentryfuse.spec import ModelSpec, Normalisation

_WARMUP_FRACTION = 0.05
_CLIP_NORM = 1.0
# Early masks are shaken by this much so that every unit learns to do without its neighbours;
# it fades over the first half, when the gate's ranking takes over.
_MASK_NOISE = 0.5
# A factor for each unit and window costs a quarter of the pass; the teacher averages anyway.
_SALIENCY_EVERY = 4


@dataclass(frozen=True, slots=True)
class EpochReport:
    """Mean losses of one epoch."""

    epoch: int
    loss: float
    pruned_loss: float
    gate_loss: float


class GatedModel(nn.Module):
    """Backbone and gate as one module, so that both share optimiser, average and checkpoint."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.backbone: Backbone = build_backbone(spec)
        self.gate = SentryGate(
            num_modalities=len(spec.modalities),
            num_units=self.backbone.inventory.num_units,
            hidden_dim=spec.gate_hidden_dim,
        )


class Trainer:
    """One training run over the windows of the training groups.

    Args:
        spec: Shape of the model.
        settings: How to train.
        train: Windows of the training groups.
        normalisation: Statistics of exactly those windows.
        model: What to go on from, and changed in place; a fresh one by default.
    """

    def __init__(
        self,
        spec: ModelSpec,
        settings: TrainingSettings,
        train: WindowSet,
        normalisation: Mapping[str, Normalisation],
        *,
        model: GatedModel | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.model = GatedModel(spec) if model is None else model
        if spec.backbone.sample_norm and model is None:
            self.model.backbone.fit_samples(standardise(train.arrays, normalisation))
        averaging = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.model, multi_avg_fn=averaging)
        self.epoch = 0
        self._steps = 0
        self._inventory = self.model.backbone.inventory
        self._names = spec.modality_names
        self._raw = {n: torch.from_numpy(a.astype(np.float32)) for n, a in train.arrays.items()}
        self._label = torch.from_numpy(train.label)
        self._augment = Augmenter(settings.augment, normalisation)
        self._curriculum = PresenceCurriculum(
            len(spec.modalities), settings.full_fraction, settings.ramp_fraction
        )
        self._teacher = SaliencyTeacher(self._inventory)
        self._optimiser = torch.optim.AdamW(
            self.model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._steps_per_epoch = math.ceil(len(train) / settings.batch_size)
        total = self._steps_per_epoch * settings.epochs
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimiser, lambda step: _warmup_cosine(step / total)
        )
        self._torch_rng = torch.Generator().manual_seed(settings.seed)
        self._numpy_rng = np.random.default_rng(settings.seed)

    @property
    def averaged(self) -> GatedModel:
        """The averaged weights: what is evaluated and shipped."""
        module = self.average.module
        assert isinstance(module, GatedModel)
        return module.eval()

    def run_epoch(self) -> EpochReport:
        """Train over every window once."""
        self.model.train()
        order = torch.randperm(len(self._label), generator=self._torch_rng)
        losses = []
        for step, index in enumerate(torch.split(order, self.settings.batch_size)):
            progress = (self.epoch + step / self._steps_per_epoch) / self.settings.epochs
            losses.append(self._step(index, progress))
        self.epoch += 1
        return EpochReport(self.epoch, *np.mean(losses, axis=0).tolist())

    def _step(self, index: Tensor, progress: float) -> tuple[float, float, float]:
        presence = self._curriculum.draw(progress, self._numpy_rng)
        inputs = {
            name: self._augment(name, self._raw[name][index], self._torch_rng)
            for name in presence.names(self._names)
        }
        label = self._label[index]
        self._optimiser.zero_grad(set_to_none=True)
        scores = self.model.gate(presence)
        loss, logits = self._full_pass(inputs, label, scores, presence)
        gate_loss = pruned_loss = torch.zeros(())
        if self.settings.gated:
            gate_loss = self._gate_loss(scores, presence, progress)
            if self.settings.elastic and progress >= self.settings.elastic_from:
                pruned_loss = self._pruned_pass(inputs, label, scores, logits, presence, progress)
            (gate_loss + pruned_loss).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP_NORM)
        self._optimiser.step()
        self._schedule.step()
        self.average.update_parameters(self.model)
        return loss.item(), pruned_loss.item(), gate_loss.item()

    def _gate_loss(self, scores: Tensor, presence: Presence, progress: float) -> Tensor:
        """Draw scores towards 0 or 1, and towards what the teacher saw of this presence."""
        loss = self.settings.binarise_weight * progress * binarisation(scores)
        target = self._teacher.target(presence)
        if target is not None:
            active = torch.from_numpy(self._inventory.active(presence))
            loss = loss + self.settings.align_weight * alignment(scores, target, active)
        return loss

    def _full_pass(
        self, inputs: Mapping[str, Tensor], label: Tensor, scores: Tensor, presence: Presence
    ) -> tuple[Tensor, Tensor]:
        """Train with every unit; now and then, show the teacher the saliency on the way back.

        Without elastic steps the units are scaled by their scores, so that the task loss and
        the binarisation term act on the gate as in the paper.
        """
        scale = scores if self.settings.gated and not self.settings.elastic else None
        virtual = None
        if self.settings.teacher != "none" and self._steps % _SALIENCY_EVERY == 0:
            virtual = torch.ones(len(label), self._inventory.num_units, requires_grad=True)
            scale = virtual if scale is None else virtual * scale
        self._steps += 1
        answer = self.model.backbone.answer(inputs, scale)
        logits, router_loss = answer.logits, self.settings.router_weight * answer.auxiliary_loss
        loss = F.cross_entropy(logits, label, label_smoothing=self.settings.label_smoothing)
        keep_graph = not self.settings.elastic
        if virtual is None:
            (loss + router_loss).backward(retain_graph=keep_graph)  # type: ignore[no-untyped-call]
            return loss.detach(), logits.detach()
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        if virtual.grad is not None:
            saliency = SALIENCIES[self.settings.teacher]
            self._teacher.update(presence, saliency(virtual.grad))
        # Only now, since a unit counts for what it is worth to the task, not to the routers.
        if router_loss.requires_grad:
            router_loss.backward(retain_graph=keep_graph)  # type: ignore[no-untyped-call]
        return loss.detach(), logits.detach()

    def _pruned_pass(
        self,
        inputs: Mapping[str, Tensor],
        label: Tensor,
        scores: Tensor,
        full_logits: Tensor,
        presence: Presence,
        progress: float,
    ) -> Tensor:
        """Train through a hard mask of random ratio, taught by the full pass.

        Forward uses the mask, backward goes straight through to the scores, so the gate learns
        from what pruning really costs (unless ``straight_through`` is off).
        """
        settings, rng = self.settings, self._numpy_rng
        noise = _MASK_NOISE * max(0.0, 1 - 2 * progress)
        shaken = scores.detach().numpy() + noise * rng.random(len(scores))
        ratio = settings.max_ratio * rng.random()
        keep = select_units(shaken, self._inventory, presence, ratio)
        hard = torch.from_numpy(keep.astype(np.float32))
        scale = hard + scores - scores.detach() if settings.straight_through else hard
        logits: Tensor = self.model.backbone(inputs, scale)
        label_loss = F.cross_entropy(logits, label, label_smoothing=settings.label_smoothing)
        return (
            settings.distil_weight * distillation(logits, full_logits)
            + (1 - settings.distil_weight) * label_loss
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint that :meth:`resume` continues from."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "epoch": self.epoch,
            "steps": self._steps,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "teacher": self._teacher.state_dict(),
            "torch_rng": self._torch_rng.get_state(),
            "dropout_rng": torch.get_rng_state(),
            "numpy_rng": self._numpy_rng.bit_generator.state,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint, exactly as if the run had not stopped."""
        state = torch.load(path, weights_only=True)
        self.epoch, self._steps = state["epoch"], state["steps"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        self._teacher.load_state_dict(state["teacher"])
        self._torch_rng.set_state(state["torch_rng"])
        torch.set_rng_state(state.get("dropout_rng", torch.get_rng_state()))
        self._numpy_rng.bit_generator.state = state["numpy_rng"]


def _warmup_cosine(progress: float) -> float:
    if progress < _WARMUP_FRACTION:
        return max(progress / _WARMUP_FRACTION, 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
