from __future__ import annotations

import numpy as np
import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder, host_fingerprint
from sentryfuse.variants.engine import onnxruntime, providers_of
from tests.bundles import random_bundle, random_windows, small_spec

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
needs_cuda = pytest.mark.skipif(not HAS_CUDA, reason="no ONNX Runtime for CUDA here")


@pytest.mark.skipif(HAS_CUDA, reason="this ONNX Runtime has CUDA")
def test_an_engine_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"'cuda'.*has .*CPUExecutionProvider"):
        VariantBuilder(random_bundle(), engine="cuda")


def test_the_cpu_is_always_there_and_alone() -> None:
    assert providers_of("cpu") == ["CPUExecutionProvider"]


def test_what_one_engine_measured_is_not_taken_for_another() -> None:
    assert host_fingerprint("cpu") != host_fingerprint("cuda")
    assert host_fingerprint() == host_fingerprint("cpu")


@needs_cuda
@pytest.mark.parametrize("kind", ["maestro", "flexmoe", "fusemoe"])
@pytest.mark.parametrize("batch", [1, 8])
def test_a_gpu_gives_the_logits_of_the_cpu(kind: str, batch: int) -> None:
    bundle = random_bundle(small_spec(kind=kind))
    presence = Presence(0b01011, 5)
    names = presence.names(bundle.spec.modality_names)
    windows = random_windows(bundle.spec, names, batch=batch)
    on_cpu, on_gpu = (VariantBuilder(bundle, engine=engine) for engine in ("cpu", "cuda"))
    for ratio in (0.0, 0.8):
        mask = on_cpu.mask(presence, ratio)

        logits = on_gpu.build(mask).run(windows)

        np.testing.assert_allclose(logits, on_cpu.build(mask).run(windows), atol=1e-3)
