"""What a model is: its modalities, task, backbone and gate, as frozen values.

Every spec checks itself once, when it is made, and turns into plain JSON and back without loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

# From this many tokens on a sparse layer is faster in the serving engine, for one window as for
# eight; docs/attention.md.
SPARSE_FROM = 100

# Who chooses the queries that attend in a sparse layer: all its heads together, or each its own.
SPARSE_FORMS = ("shared", "by_head")

# How the Laplace gates of ``fusemoe`` are shared: one for all tokens, one for each modality over
# common experts, or one for each modality over experts of its own.
ROUTERS = ("joint", "per_modality", "disjoint")

# What a summary token may say of each channel; ``BackboneSpec.statistics`` says which it does.
SUMMARIES = ("plain", "rich", "history")
_PLAIN = ("mean", "deviation", "minimum", "maximum")
_RICH = (*_PLAIN, "log_deviation", "slope")
_HISTORY = ("last", "ever")

_MAY_BE_ZERO = ("steps", "feature_dropout", "feature_limit")

# A step of a long window is described by its mean, and the logarithms of its deviation and of
# its mean change from sample to sample.
STEP_FEATURES = 3


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"{owner}.{name} must be positive, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalitySpec:
    """One named sensor input: a window ``[time, channels]``."""

    name: str
    length: int
    """Samples in a window."""
    channels: int
    rate_hz: float
    """Samples per second; 0 for values that do not change in time."""
    unit: str = ""
    """Physical units of the channels, for people."""
    channel_names: tuple[str, ...] = ()
    gaps: bool = False
    """Values may be missing inside a window (NaN), and the model is told which were measured."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"modality name must match {_NAME.pattern}, got {self.name!r}")
        _positive(
            f"modality {self.name}",
            length=self.length,
            channels=self.channels,
        )
        if self.rate_hz < 0:
            raise ConfigError(f"modality {self.name}.rate_hz must be at least 0: {self.rate_hz}")
        if self.channel_names and len(self.channel_names) != self.channels:
            raise ConfigError(
                f"modality {self.name} has {self.channels} channels "
                f"but {len(self.channel_names)} channel names"
            )


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and standard deviation of each channel of one modality, from the training groups."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    gaps: bool = False
    """Whether a missing value stays NaN for the model to see; else it becomes the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSpec:
    """Shape of a multimodal transformer before pruning."""

    kind: str = "maestro"
    embed_dim: int = 64
    num_heads: int = 8
    num_kv_heads: int = 2
    head_dim: int = 16
    encoder_layers: int = 1
    """Transformer layers of each modality's own encoder; each halves the tokens."""
    fusion_layers: int = 2
    """Layers over the concatenated tokens of the present modalities."""
    ffn_dim: int = 256
    num_experts: int = 4
    expert_dim: int = 128
    experts_per_token: int = 4
    max_tokens: int = 25
    """Upper bound on the patches of a window; the patch length follows from it."""
    summary_token: bool = True
    """Give each modality one more token, made of statistics of its window."""
    summary: str = "plain"
    """Which statistics: ``plain`` is mean, deviation, minimum and maximum; ``rich`` adds how the
    window changes over time; ``history`` adds to that, where values may be missing, the last one
    measured and whether there is any."""
    standardise_summary: bool = False
    """Bring the statistics to one scale before they are projected, whatever they are."""
    steps: int = 0
    """Cut windows of at least twice this length into about so many steps, and read each step's
    mean, deviation and change in place of its samples; 0 = read samples always."""
    feature_dropout: float = 0.0
    """Share of standardised features of steps and windows that training hides at random."""
    feature_limit: float = 0.0
    """Standardised features of steps and windows beyond so many deviations count as so many;
    0 = no limit."""
    sample_norm: bool = False
    """Standardise each sample of a window by itself before it becomes part of a patch: for windows
    that begin at the same moment of a cycle."""
    sparse_factor: int = 5
    """c in u = c * ceil(ln L), the number of queries that attend in a sparse layer."""
    sparse_from: int = SPARSE_FROM
    """Layers with at least this many tokens use the sparse form, shorter ones the dense one."""
    sparse_form: str = "shared"
    """Who chooses the queries that attend in a sparse layer: one of ``SPARSE_FORMS``."""
    bank_tokens: int = 2
    """Tokens that stand in for an absent modality in ``flexmoe``."""
    bank_rank: int = 4
    """Terms of which those tokens are made, each weighted by what is present."""
    router: str = "per_modality"
    """Who shares a router and experts in ``fusemoe``: one of ``ROUTERS``."""

    def __post_init__(self) -> None:
        shape = {k: v for k, v in asdict(self).items() if type(v) is int and k not in _MAY_BE_ZERO}
        if self.steps < 0:
            raise ConfigError(f"backbone.steps must be at least 0, got {self.steps}")
        _positive("backbone", **shape)
        if not 0 <= self.feature_dropout < 1:
            raise ConfigError(
                f"backbone.feature_dropout must be in [0, 1), got {self.feature_dropout}"
            )
        if not 0 <= self.feature_limit < math.inf:
            raise ConfigError(
                f"backbone.feature_limit must be finite and at least 0, got {self.feature_limit}"
            )
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"backbone.num_heads ({self.num_heads}) must be a multiple of "
                f"num_kv_heads ({self.num_kv_heads})"
            )
        if self.sparse_form not in SPARSE_FORMS:
            raise ConfigError(
                f"backbone.sparse_form must be one of {SPARSE_FORMS}, got {self.sparse_form!r}"
            )
        if self.router not in ROUTERS:
            raise ConfigError(f"backbone.router must be one of {ROUTERS}, got {self.router!r}")
        if self.steps and self.sample_norm:
            raise ConfigError("backbone.sample_norm reads samples: backbone.steps must be 0")
        if self.summary not in SUMMARIES:
            raise ConfigError(f"backbone.summary must be one of {SUMMARIES}, got {self.summary!r}")
        if self.experts_per_token > self.num_experts:
            raise ConfigError(
                f"backbone.experts_per_token must be at most num_experts "
                f"({self.num_experts}), got {self.experts_per_token}"
            )

    def step_length(self, modality: ModalitySpec) -> int:
        """Samples in one step of this modality; 1 where its samples are read."""
        if not self.steps or modality.gaps:
            return 1
        return max(1, modality.length // self.steps)

    def sequence(self, modality: ModalitySpec) -> tuple[int, int]:
        """Rows and columns of what patches are cut from: samples, or steps (a rest is left out)."""
        step = self.step_length(modality)
        if step == 1:
            return modality.length, modality.channels
        return modality.length // step, STEP_FEATURES * modality.channels

    def patch_length(self, modality: ModalitySpec) -> int:
        """Samples, or steps, in one patch of this modality."""
        return math.ceil(self.sequence(modality)[0] / self.max_tokens)

    def num_patches(self, modality: ModalitySpec) -> int:
        """Patches of one window; the last one is padded with zeros."""
        return math.ceil(self.sequence(modality)[0] / self.patch_length(modality))

    def patch_inputs(self, modality: ModalitySpec) -> int:
        """Numbers of which one patch token is made: values, and which of them were measured."""
        values = self.patch_length(modality) * self.sequence(modality)[1]
        return 2 * values if modality.gaps else values

    def statistics(self, modality: ModalitySpec) -> tuple[str, ...]:
        """What the summary token says of each column, in order; nothing without such a token."""
        if not self.summary_token:
            return ()
        names: tuple[str, ...] = _PLAIN
        if self.summary != "plain":
            length, _ = self.sequence(modality)
            names = _RICH if length > 1 else ("mean",)
            if length > 1 and not modality.gaps:
                names += ("log_change",)
            if length > 1 and modality.gaps and self.summary == "history":
                names += _HISTORY
        return (*names, "share") if modality.gaps else names

    def encoder_tokens(self, modality: ModalitySpec) -> tuple[int, ...]:
        """Tokens seen by each encoder layer, then the tokens handed to the fusion."""
        tokens = [self.num_patches(modality) + self.summary_token]
        for _ in range(self.encoder_layers):
            tokens.append(math.ceil(tokens[-1] / 2))
        return tuple(tokens)

    def active_queries(self, tokens: int) -> int:
        """Queries that attend in a layer of ``tokens`` tokens: u, or all of them if dense."""
        if tokens < self.sparse_from:
            return tokens
        return min(self.sparse_factor * math.ceil(math.log(tokens)), tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """What the model answers: one class out of several."""

    name: str
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.class_names) < 2:
            raise ConfigError(f"task {self.name} needs two classes or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A whole model: task, modalities, backbone and gate width."""

    task: TaskSpec
    modalities: tuple[ModalitySpec, ...]
    backbone: BackboneSpec
    gate_hidden_dim: int = 16

    def __post_init__(self) -> None:
        names = self.modality_names
        if not names:
            raise ConfigError("a model needs at least one modality")
        if len(set(names)) != len(names):
            raise ConfigError(f"modality names must differ, got {list(names)}")
        _positive("model", gate_hidden_dim=self.gate_hidden_dim)
        if self.backbone.sample_norm and any(m.gaps for m in self.modalities):
            raise ConfigError("backbone.sample_norm needs windows without missing values")
        if self.backbone.router == "disjoint":
            self._check_disjoint_experts()

    @property
    def modality_names(self) -> tuple[str, ...]:
        """Names in bit order."""
        return tuple(m.name for m in self.modalities)

    @property
    def num_classes(self) -> int:
        """Classes of the task."""
        return len(self.task.class_names)

    @property
    def full_presence(self) -> Presence:
        """The presence of every modality."""
        return Presence.full(len(self.modalities))

    def _check_disjoint_experts(self) -> None:
        """Every modality has equally many experts, from which its tokens choose."""
        experts, modalities = self.backbone.num_experts, len(self.modalities)
        if experts % modalities:
            raise ConfigError(
                f"with disjoint routers backbone.num_experts ({experts}) must be a multiple of "
                f"the number of modalities ({modalities})"
            )
        if self.backbone.experts_per_token > experts // modalities:
            raise ConfigError(
                f"with disjoint routers backbone.experts_per_token must be at most "
                f"{experts // modalities}, got {self.backbone.experts_per_token}"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; :meth:`from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelSpec:
        """Rebuild a spec from :meth:`to_json`'s data.

        Raises:
            ConfigError: A field is missing, unknown or makes no sense.
        """
        try:
            task = data["task"]
            return cls(
                task=TaskSpec(name=task["name"], class_names=tuple(task["class_names"])),
                modalities=tuple(
                    ModalitySpec(**{**m, "channel_names": tuple(m.get("channel_names", ()))})
                    for m in data["modalities"]
                ),
                # Specs from before there was a choice say nothing of the form.
                backbone=BackboneSpec(**{"sparse_form": "by_head", **data["backbone"]}),
                gate_hidden_dim=data["gate_hidden_dim"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"not a model spec: {error}") from error
