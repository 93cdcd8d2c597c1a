from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentryfuse.bench.attend.measure import (
    BY_HEAD,
    DENSE,
    FORMS,
    FUSED,
    GROUPED,
    OURS,
    Point,
    measure,
    of_form,
    sensors,
    with_fused_attention,
)
from sentryfuse.bench.attend.plots import draw
from sentryfuse.bench.attend.report import LONG, Study, write_record
from sentryfuse.spec import BackboneSpec
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.variant import open_session
from tests.bundles import random_bundle, random_windows, small_spec

SHAPE = BackboneSpec(embed_dim=16, num_heads=4, head_dim=8, ffn_dim=16, expert_dim=8)


def point(form: str, *, seconds: float, flops: int, backbone: str = "maestro") -> Point:
    return Point(
        backbone=backbone,
        form=form,
        fusion_tokens=LONG,
        encoder_tokens=128,
        flops=flops,
        memory_bytes=1000,
        seconds={1: [seconds, 2 * seconds], 8: [seconds, seconds]},
    )


@pytest.mark.parametrize("tokens", [40, 80, 160, 320, 640])
def test_windows_are_as_long_as_the_fusion_has_tokens(tokens: int) -> None:
    spec = sensors(SHAPE, tokens)
    assert sum(spec.backbone.encoder_tokens(m)[-1] for m in spec.modalities) == tokens
    assert {spec.backbone.patch_length(m) for m in spec.modalities} == {4}


@pytest.mark.benchmark
def test_every_form_is_timed_in_every_round_and_sparse_ones_need_fewer_flops() -> None:
    points = {p.form: p for p in measure(SHAPE, [160], rounds=2)}
    assert list(points) == list(FORMS)
    assert all(len(s) == 2 and min(s) > 0 for p in points.values() for s in p.seconds.values())
    flops = {form: p.flops for form, p in points.items()}
    assert flops[OURS] < flops[BY_HEAD] < flops[GROUPED] == flops[FUSED] < flops[DENSE]


def test_the_fused_kernel_gives_the_same_answers() -> None:
    bundle = random_bundle(small_spec())
    builder = VariantBuilder(bundle)
    graph = builder.graph(builder.mask(bundle.spec.full_presence, 0.0))
    windows = random_windows(bundle.spec, batch=3)
    plain, fused = (
        open_session(g, threads=1).run(None, windows)[0]
        for g in (graph, with_fused_attention(graph))
    )
    assert b"MultiHeadAttention" in with_fused_attention(graph)
    np.testing.assert_allclose(fused, plain, atol=1e-5)


def test_short_windows_are_sparse_too_when_a_form_is_asked_for() -> None:
    assert of_form(SHAPE, OURS).active_queries(60) == 25
    assert of_form(SHAPE, DENSE).active_queries(10**6) == 10**6


def test_figures_are_geometric_means_over_backbones() -> None:
    points = [
        point(form, seconds=s, flops=f, backbone=kind)
        for kind, ours in (("maestro", 1.0), ("fusemoe", 4.0))
        for form, s, f in (
            (OURS, ours, 50),
            (BY_HEAD, 8.0, 75),
            (GROUPED, 8.0, 100),
            (FUSED, 8.0, 100),
            (DENSE, 8.0, 100),
        )
    ]
    record = write_record(Study(points), shapes={}, rounds=2)
    assert record.figures["attend_time_ratio"]["value"] == pytest.approx(0.25)  # 1/8 and 4/8
    assert record.figures["attend_time_ratio_fusemoe"]["value"] == pytest.approx(0.5)
    assert record.figures["attend_gflops_ratio"]["value"] == pytest.approx(0.5)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    points = [point(form, seconds=1.0, flops=10) for form in FORMS]
    assert "one choice for all heads" in draw(Study(points), tmp_path).read_text(encoding="utf-8")
