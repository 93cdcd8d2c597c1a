"""The native API's answers as schemas: what the documentation shows and tests hold us to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.inference.states import State


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Modality(_Schema):
    """One sensor input."""

    name: str
    shape: tuple[int, int] = Field(description="[time, channels] of one window")
    rate_hz: float = Field(description="Samples per second; 0 for values without time")
    unit: str
    channel_names: tuple[str, ...]
    gaps: bool = Field(description="Whether values inside a window may be null: not measured")


class ModelSummary(_Schema):
    """One model and the version that answers."""

    name: str
    version: str
    default: bool = Field(description="Answers /v1/infer")
    ready: bool


class ModelVersion(_Schema):
    """One version of a model, stored or served."""

    version: str
    state: State
    reason: str = Field(description="Why it is not served, or what is stored now can't be")


class ListedModel(ModelSummary):
    """One model in the list."""

    versions: list[ModelVersion] = Field(description="The newest first")


class ModelList(_Schema):
    """Every model that is served."""

    models: list[ListedModel]


class ModelDetails(ModelSummary):
    """What a model takes and answers."""

    task: str
    digest: str = Field(description="Digest of the bundle")
    modalities: list[Modality]
    classes: list[str]
    ratios: list[float] = Field(description="Pruning ratios on offer")
    max_batch: int
    licence: str = Field(description="Licence and attribution of the training data")


class VariantInfo(_Schema):
    """The card of a variant in memory."""

    variant: str = Field(description="Presence in hexadecimal and ratio in thousandths")
    presence: list[str]
    presence_hex: str
    ratio: float
    mask_digest: str
    flops: int = Field(description="2 x multiply-accumulates of one window")
    parameters: int
    memory_bytes: int
    expected_accuracy: float = Field(description="On validation data")
    units_kept_ratio: float
    parameters_kept_ratio: float
    bytes_kept_ratio: float
    flops_kept_ratio: float
    latency_ms: dict[str, float] = Field(description="On this host when idle, by batch size")
    energy_mj: dict[str, float] = Field(description="Modelled, by batch size")


class VariantList(_Schema):
    """Variants in memory."""

    model: str
    variants: list[VariantInfo]


class Expected(_Schema):
    """What a plan should cost."""

    latency_ms: float = Field(description="From last byte read to first byte written")
    energy_mj: float
    accuracy: float
    power_w: float


class PlanInfo(_Schema):
    """Which variant was chosen, and why."""

    variant: str
    presence: list[str]
    ratio: float
    batch: int = Field(description="Windows in the inference, those of others included")
    requests: int = Field(description="Requests that shared it")
    cores: int = Field(description="Cores that shared its rows")
    threads: int
    expected: Expected
    feasible: bool = Field(description="Every budget was expected to be met")
    conceded: list[str] = Field(description="Budgets expected to be missed")
    reason: str


class Option(_Schema):
    """One variant that a plan could choose."""

    variant: str
    ratio: float
    flops: int
    latency_ms: float
    energy_mj: float
    expected_accuracy: float
    in_memory: bool


class DryRun(_Schema):
    """What would be chosen now, and from what."""

    plan: PlanInfo
    options: list[Option]


class Guess(_Schema):
    """One class and how likely it is."""

    label: str
    index: int
    probability: float


class Prediction(Guess):
    """The likeliest class of one window, and those that follow."""

    top: list[Guess]


class LatencySpending(_Schema):
    """Latency budget and what was spent."""

    asked_ms: float
    spent_ms: float
    met: bool


class EnergySpending(_Schema):
    """Energy budget and what was spent."""

    asked_mj: float
    spent_mj: float
    met: bool


class PowerSpending(_Schema):
    """Power budget and what was spent."""

    asked_w: float
    spent_w: float
    met: bool


class AccuracySpending(_Schema):
    """Accuracy floor and what is expected."""

    asked: float
    expected: float
    met: bool


class BudgetReport(_Schema):
    """Every budget that was given."""

    latency: LatencySpending | None = None
    energy: EnergySpending | None = None
    power: PowerSpending | None = None
    accuracy: AccuracySpending | None = None


class BatchInfo(_Schema):
    """The inference that a request was answered in."""

    requests: int
    windows: int
    cores: int


class CascadeStep(_Schema):
    """One variant that was asked in a cascade."""

    variant: str
    confidence: float = Field(description="Least top probability over the request's windows")
    inference_ms: float
    energy_mj: float = Field(description="Of the inference")


class ReceiptInfo(_Schema):
    """What the request really cost."""

    parse_ms: float
    build_ms: float = Field(description="0 if the variant was in memory")
    queue_ms: float = Field(description="Until it was decided to run it")
    batch_wait_ms: float = Field(description="From the decision to the start of the inference")
    inference_ms: float
    total_ms: float
    energy_mj: float = Field(description="Active energy of reading and inference")
    energy_source: str
    energy_quality: Literal["measured", "modelled"]
    batch: BatchInfo
    budget: BudgetReport
    met: bool
    cascade: list[CascadeStep] | None = Field(
        None, description="Variants asked, the smallest first; only with SentryFuse-Cascade"
    )
    missed_because: str | None = Field(None, description="What ate the budget, if one was missed")


_NOT_MINIMAL = "; absent with `Prefer: return=minimal`"


class InferAnswer(_Schema):
    """The answer to an inference request."""

    id: str | None
    model: str
    version: str
    predictions: list[Prediction] = Field(description="One for each window of the batch")
    plan: PlanInfo | None = Field(None, description="What was decided, and why" + _NOT_MINIMAL)
    receipt: ReceiptInfo | None = Field(None, description="What it took" + _NOT_MINIMAL)


class SiteInfo(_Schema):
    """How this node stands among those that share a cap."""

    site: str
    node: str
    cap_w: float = Field(description="Of all nodes together")
    guaranteed_w: float = Field(description="Sum of all nodes' shares")
    share_w: float = Field(description="What this node may use whatever happens")
    lent_w: float = Field(description="What it may use above that now")
    lent_for_s: float = Field(description="How long, if that is not renewed")
    demand_w: float = Field(description="What it would draw without any cap")
    pool_w: float = Field(description="What the site can lend in all")
    nodes: int = Field(description="Heard of lately, this one included")
    in_touch: bool = Field(description="Whether the last attempt to agree succeeded")
    rounds: dict[str, int] = Field(description="Such attempts, by outcome")


class PowerInfo(_Schema):
    """Power of the node, and who pays for it."""

    cap_w: float | None = Field(description="Now; never conceded; null for none")
    schedule: dict[str, Any] | None = Field(description="What the cap follows, as it was set")
    tokens_j: float | None = Field(
        description="Energy that the cap lets through now, a debt if negative; null without a cap"
    )
    power_w: float = Field(description="Mean of the last second")
    idle_power_w: float
    arrival_rate_hz: float = Field(description="Requests served per second, over ten seconds")
    energy_j: float = Field(description="Since the start: idle_j + requests_j + overhead_j")
    idle_j: float
    requests_j: float = Field(description="Charged to requests")
    overhead_j: float = Field(description="Active energy that no request was charged for")
    price_j_per_cpu_s: float = Field(description="What a CPU second of a request costs")
    source: str
    quality: Literal["measured", "modelled"]
    covers: Literal["node", "process"] = Field(description="Whose work the meter sees")
    faults: dict[str, int] = Field(description="How often the meter read what can't be")
    failovers: int = Field(description="How often another meter had to take over")
    site: SiteInfo | None = Field(description="null for a node on its own")


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457); each type has members of its own."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
