"""Dense, grouped and sparse attention side by side, as whole models in the serving engine.

What sparse attention saves depends on how many tokens there are and on all that is not
attention; so every backbone is written at several window lengths, with each form of attention.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec, Normalisation, TaskSpec
from sentryfuse.units import Inventory
from sentryfuse.variants.engine import onnxruntime
from sentryfuse.variants.graphs import GRAPH_FAMILIES
from sentryfuse.variants.variant import Windows, open_session
from sentryfuse.variants.weights import weight_shapes

OURS, BY_HEAD, GROUPED, DENSE, FUSED = "shared", "by_head", "grouped", "dense", "grouped_fused"
FORMS = (DENSE, GROUPED, FUSED, BY_HEAD, OURS)
BATCHES = (1, 8)

_NEVER = 1 << 30  # tokens
_SENSORS, _CHANNELS, _RATE_HZ, _PATCH, _CLASSES = 5, 9, 25.0, 4, 19


@dataclass(frozen=True, kw_only=True)
class Point:
    """One model: what it costs by count, and every timing of it."""

    backbone: str
    form: str
    fusion_tokens: int
    encoder_tokens: int
    flops: int
    memory_bytes: int
    """Size of the serialised graph."""
    seconds: Mapping[int, Sequence[float]]
    """Per run, by batch; rounds in which all forms ran in turn."""

    def ratio_to(self, other: Point, batch: int) -> NDArray[np.float64]:
        """Time over another form's in the same round."""
        ratios: NDArray[np.float64] = np.divide(self.seconds[batch], other.seconds[batch])
        return ratios


def sensors(shape: BackboneSpec, fusion_tokens: int) -> ModelSpec:
    """Return a model of five body-worn sensors whose fusion sees about that many tokens.

    The sensors and the samples of a patch are those of the bundle that ships; what grows is the
    window. The tokens are exact where they are a multiple of five.
    """
    patches = 2 * fusion_tokens // _SENSORS - shape.summary_token
    modalities = tuple(
        ModalitySpec(
            name=f"sensor_{i}", length=_PATCH * patches, channels=_CHANNELS, rate_hz=_RATE_HZ
        )
        for i in range(_SENSORS)
    )
    return ModelSpec(
        task=TaskSpec(name="attend", class_names=tuple(f"class-{i}" for i in range(_CLASSES))),
        modalities=modalities,
        backbone=replace(shape, max_tokens=patches),
    )


def of_form(shape: BackboneSpec, form: str) -> BackboneSpec:
    """Return the shape with this form of attention, however few tokens there are."""
    if form == DENSE:
        return replace(shape, num_kv_heads=shape.num_heads, sparse_from=_NEVER)
    if form in (GROUPED, FUSED):
        return replace(shape, sparse_from=_NEVER)
    return replace(shape, sparse_from=1, sparse_form=form)


def measure(
    shape: BackboneSpec,
    tokens: Sequence[int],
    *,
    rounds: int,
    forms: Sequence[str] = FORMS,
    batches: Sequence[int] = BATCHES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Point]:
    """Time every form in turn, one thread, every sensor present, unpruned.

    Args:
        shape: A backbone; its attention is replaced.
        tokens: Tokens of the fusion.
        rounds: Turns of each form.
        forms: Which of ``FORMS``.
        batches: Windows of one run.
        progress: Told after each number of tokens.
    """
    points = []
    for done, fusion_tokens in enumerate(tokens):
        progress(done, len(tokens))
        specs = {form: sensors(of_form(shape, form), fusion_tokens) for form in forms}
        graphs = {form: _graph(spec, fused=form == FUSED) for form, spec in specs.items()}
        sessions = {form: open_session(graph, threads=1) for form, graph in graphs.items()}
        spec = specs[forms[0]]
        seconds = {batch: _in_turns(sessions, _windows(spec, batch), rounds) for batch in batches}
        points += [
            Point(
                backbone=shape.kind,
                form=form,
                fusion_tokens=fusion_tokens,
                encoder_tokens=spec.backbone.encoder_tokens(spec.modalities[0])[0],
                flops=_flops(specs[form]),
                memory_bytes=len(graphs[form]),
                seconds={batch: seconds[batch][form] for batch in batches},
            )
            for form in forms
        ]
    progress(len(tokens), len(tokens))
    return points


def _in_turns(
    sessions: Mapping[str, onnxruntime.InferenceSession], windows: Windows, rounds: int
) -> dict[str, list[float]]:
    calls = {}
    for form, session in sessions.items():
        session.run(None, dict(windows))
        started = time.perf_counter()
        session.run(None, dict(windows))
        # Short runs are too short for the clock's noise: some are timed together.
        calls[form] = max(1, min(10, int(4e-3 / (time.perf_counter() - started))))
    seconds: dict[str, list[float]] = {form: [] for form in sessions}
    for _ in range(rounds):
        for form, session in sessions.items():
            started = time.perf_counter()
            for _ in range(calls[form]):
                session.run(None, dict(windows))
            seconds[form].append((time.perf_counter() - started) / calls[form])
    return seconds


def _graph(spec: ModelSpec, *, fused: bool) -> bytes:
    inventory, full = Inventory(spec), spec.full_presence
    family = GRAPH_FAMILIES[spec.backbone.kind](_untrained(spec), inventory)
    graph = family.write(Mask(full, 0, inventory.active(full)))
    return with_fused_attention(graph) if fused else graph


def with_fused_attention(graph: bytes) -> bytes:
    """Put ONNX Runtime's own attention, which can go without a table of scores, into a graph."""
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        if node.op_type == "Attention":
            heads = next(a.i for a in node.attribute if a.name == "q_num_heads")
            node.op_type, node.domain = "MultiHeadAttention", "com.microsoft"
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("num_heads", heads))
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    data: bytes = model.SerializeToString()
    return data


def _flops(spec: ModelSpec) -> int:
    inventory, full = Inventory(spec), spec.full_presence
    return inventory.cost(full, inventory.active(full)).flops


def _windows(spec: ModelSpec, batch: int) -> Windows:
    rng = np.random.default_rng(0)
    return {
        m.name: rng.normal(size=(batch, m.length, m.channels)).astype(np.float32)
        for m in spec.modalities
    }


def _untrained(spec: ModelSpec) -> Bundle:
    """Return a model as it is before training: what it takes does not depend on what it knows."""
    rng = np.random.default_rng(0)
    full: Presence = spec.full_presence
    return Bundle(
        spec=spec,
        normalisation={
            m.name: Normalisation((0.0,) * m.channels, (1.0,) * m.channels) for m in spec.modalities
        },
        weights={
            name: (rng.normal(size=shape) * shape[-1] ** -0.5).astype(np.float32)
            for name, shape in weight_shapes(spec).items()
        },
        gate_arrays={},
        simulator_arrays={},
        accuracy=AccuracyTable((0,), {full.bits: (0.0,)}),
        licence="",
    )
