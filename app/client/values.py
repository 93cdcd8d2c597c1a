"""What the service answers, as frozen values named and in units as in its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Guess:
    """One class and how likely it is."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction(Guess):
    """The likeliest class of one window, and those that follow."""

    top: tuple[Guess, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a plan should cost."""

    latency_ms: float
    energy_mj: float
    accuracy: float
    power_w: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Which variant was chosen, and why."""

    variant: str
    presence: tuple[str, ...]
    """Sensors that were present."""
    ratio: float
    """Pruning ratio: the share of the prunable compute that was removed."""
    batch: int
    requests: int
    cores: int
    threads: int
    expected: Expected
    feasible: bool
    """Every budget was expected to be met."""
    conceded: tuple[str, ...]
    """Budgets that were expected to be missed."""
    reason: str


@dataclass(frozen=True, slots=True)
class LatencySpending:
    """Latency budget and what was spent."""

    asked_ms: float
    spent_ms: float
    met: bool


@dataclass(frozen=True, slots=True)
class EnergySpending:
    """Energy budget and what was spent."""

    asked_mj: float
    spent_mj: float
    met: bool


@dataclass(frozen=True, slots=True)
class PowerSpending:
    """Power budget and what was spent."""

    asked_w: float
    spent_w: float
    met: bool


@dataclass(frozen=True, slots=True)
class AccuracySpending:
    """Accuracy floor and what is expected."""

    asked: float
    expected: float
    met: bool


@dataclass(frozen=True, slots=True)
class BudgetReport:
    """Every budget that was given beside what was spent; None for those that were not."""

    latency: LatencySpending | None = None
    energy: EnergySpending | None = None
    power: PowerSpending | None = None
    accuracy: AccuracySpending | None = None


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """The inference that the request was answered in."""

    requests: int
    windows: int
    cores: int


@dataclass(frozen=True, slots=True)
class CascadeStep:
    """One variant that was asked in a cascade."""

    variant: str
    confidence: float
    inference_ms: float
    energy_mj: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the request really cost."""

    parse_ms: float
    build_ms: float
    queue_ms: float
    batch_wait_ms: float
    inference_ms: float
    total_ms: float
    energy_mj: float
    energy_source: str
    energy_quality: Literal["measured", "modelled"]
    batch: BatchInfo
    budget: BudgetReport
    met: bool
    """Every budget was met."""
    cascade: tuple[CascadeStep, ...] | None = None
    missed_because: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an inference request, with plan and receipt."""

    model: str
    version: str
    predictions: tuple[Prediction, ...]
    """One for each window of the batch."""
    plan: Plan
    receipt: Receipt
    id: str | None = None
    request_id: str | None = None
    """What the service's log calls the request."""

    @property
    def label(self) -> str:
        """Name of the likeliest class, of the only window."""
        return self._only.label

    @property
    def probability(self) -> float:
        """How likely that class is."""
        return self._only.probability

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of the likeliest class of each window."""
        return tuple(prediction.label for prediction in self.predictions)

    @property
    def _only(self) -> Prediction:
        if len(self.predictions) != 1:
            raise ValueError(
                f"the answer is for {len(self.predictions)} windows: "
                "use labels or predictions, not label or probability"
            )
        return self.predictions[0]


@dataclass(frozen=True, slots=True)
class StreamSensor:
    """A sensor as a stream takes it."""

    name: str
    channels: int
    length: int
    """Samples in a window."""
    rate_hz: float
    silence_s: float | None
    """How far it may fall behind; None for one without rate."""


@dataclass(frozen=True, slots=True)
class StreamOpening:
    """What was agreed when a stream was opened."""

    model: str
    version: str
    window_s: float
    hop_s: float
    sensors: tuple[StreamSensor, ...]
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """The answer to one window of a stream."""

    window: int
    from_s: float
    to_s: float
    present: tuple[str, ...]
    """Sensors that were in it."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class SkippedWindow:
    """Windows of a stream that get no answer."""

    window: int
    through: int
    """The last of them."""
    skipped: str
    """Why, from a closed set: no_sensor, behind, busy and so on."""
    detail: str | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One variant that a plan could choose."""

    variant: str
    ratio: float
    flops: int
    latency_ms: float
    energy_mj: float
    expected_accuracy: float
    in_memory: bool


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would be chosen now, and from what."""

    plan: Plan
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Modality:
    """One sensor input of a model."""

    name: str
    shape: tuple[int, int]
    """``(time, channels)`` of one window."""
    rate_hz: float
    unit: str
    channel_names: tuple[str, ...]
    gaps: bool = False
    """Whether values inside a window may be missing."""


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model in the list."""

    name: str
    version: str
    default: bool
    """Asked when a call names no model."""
    ready: bool


State: TypeAlias = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, stored or served."""

    version: str
    state: State
    reason: str = ""
    """Why it is not served, or why what is stored now is not what is served."""


@dataclass(frozen=True, slots=True)
class ListedModel(ModelSummary):
    """One model in the list, with the versions there are."""

    versions: tuple[ModelVersion, ...] = ()
    """The newest first."""


@dataclass(frozen=True, slots=True)
class IndexEntry(ModelVersion):
    """One version of a model in the index of the repository."""

    name: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ModelDetails(ModelSummary):
    """What a model takes and answers."""

    task: str
    digest: str
    modalities: tuple[Modality, ...]
    classes: tuple[str, ...]
    ratios: tuple[float, ...]
    """Pruning ratios on offer."""
    max_batch: int
    licence: str


@dataclass(frozen=True, slots=True)
class Variant:
    """The card of a variant in memory."""

    variant: str
    presence: tuple[str, ...]
    presence_hex: str
    ratio: float
    mask_digest: str
    flops: int
    parameters: int
    memory_bytes: int
    expected_accuracy: float
    units_kept_ratio: float
    parameters_kept_ratio: float
    bytes_kept_ratio: float
    flops_kept_ratio: float
    latency_ms: Mapping[str, float]
    """By batch size."""
    energy_mj: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """How the node stands among those that share a cap."""

    site: str
    node: str
    cap_w: float
    guaranteed_w: float
    share_w: float
    lent_w: float
    lent_for_s: float
    demand_w: float
    pool_w: float
    nodes: int
    in_touch: bool
    rounds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Power:
    """Power of the node, and who pays for it."""

    cap_w: float | None
    schedule: Mapping[str, Any] | None
    tokens_j: float | None
    power_w: float
    idle_power_w: float
    arrival_rate_hz: float
    energy_j: float
    idle_j: float
    requests_j: float
    overhead_j: float
    price_j_per_cpu_s: float
    source: str
    quality: Literal["measured", "modelled"]
    covers: Literal["node", "process"]
    faults: Mapping[str, int] = field(default_factory=dict)
    failovers: int = 0
    site: SiteInfo | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A simulated window, ready for ``infer``."""

    label: str
    """Name of the class it should look like."""
    note: str
    inputs: Mapping[str, NDArray[np.float32] | None]
    """``[time, channels]`` of each sensor; None for those left out."""
