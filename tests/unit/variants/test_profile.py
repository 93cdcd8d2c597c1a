import json
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from sentryfuse.errors import ConfigError
from sentryfuse.variants import (
    HostProfile,
    ProfileSample,
    VariantBuilder,
    host_fingerprint,
    profile_host,
)
from sentryfuse.variants.variant import Variant, Windows
from tests.bundles import random_bundle


def _sample(flops: int, batch: int, latency_s: float, modalities: int = 1) -> ProfileSample:
    return ProfileSample(
        modalities=modalities, flops=flops, batch=batch, latency_s=latency_s, cpu_s=2 * latency_s
    )


def _profile(*samples: ProfileSample) -> HostProfile:
    return HostProfile("host", "bundle", samples)


PROFILE = _profile(
    _sample(100, 1, 1.0), _sample(300, 1, 2.0), _sample(100, 4, 3.0), _sample(300, 4, 6.0)
)


@pytest.mark.parametrize(
    ("flops", "batch", "latency_s"),
    [
        (100, 1, 1.0),
        (300, 4, 6.0),
        (200, 1, 1.5),
        (100, 2, 1.0 + 2.0 / 3),
        (50, 1, 1.0),
        (600, 1, 4.0),
        (100, 8, 6.0),
    ],
    ids=["measured", "measured too", "between FLOPs", "between batches", "less", "more", "larger"],
)
def test_an_estimate_interpolates(flops: int, batch: int, latency_s: float) -> None:
    estimate = PROFILE.estimate(flops, batch)

    assert estimate.latency_s == pytest.approx(latency_s)
    assert estimate.cpu_s == pytest.approx(2 * latency_s)


@pytest.mark.parametrize(
    ("flops", "modalities", "spanned"),
    [
        (100, 1, True),
        (200, 1, True),
        (300, 1, True),
        (99, 1, False),
        (301, 1, False),
        (200, 2, False),
    ],
)
def test_a_profile_spans_what_lies_between_its_samples(
    flops: int, modalities: int, spanned: bool
) -> None:
    assert PROFILE.spans(flops, modalities) is spanned


def test_more_modalities_with_the_same_flops_take_longer() -> None:
    profile = _profile(_sample(100, 1, 1.0), _sample(100, 1, 3.0, modalities=5))

    assert profile.estimate(100, 1, modalities=3).latency_s == pytest.approx(2.0)
    assert profile.estimate(100, 1).latency_s == pytest.approx(2.0)


def test_a_profile_survives_json() -> None:
    assert HostProfile.from_json(json.loads(json.dumps(PROFILE.to_json()))) == PROFILE


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"fingerprint": "a", "bundle_digest": "b", "samples": []},
        {"fingerprint": "a", "bundle_digest": "b", "samples": [{"flops": 1}]},
        {"fingerprint": "a", "bundle_digest": "b", "samples": 5},
        {"fingerprint": "a", "bundle_digest": "b", "samples": ["flops"]},
        {**PROFILE.to_json(), "samples": [{**PROFILE.to_json()["samples"][0], "batch": 0}]},
        {**PROFILE.to_json(), "samples": [{**PROFILE.to_json()["samples"][0], "cpu_s": "1"}]},
        {**PROFILE.to_json(), "samples": [{**PROFILE.to_json()["samples"][0], "cpu_s": -1.0}]},
        [],
    ],
)
def test_what_is_not_a_profile_is_refused(data: object) -> None:
    with pytest.raises(ConfigError, match="profile"):
        HostProfile.from_json(data)  # type: ignore[arg-type]


def test_a_measured_profile_covers_the_full_presence_and_a_single_modality() -> None:
    builder = VariantBuilder(random_bundle())
    steps: list[tuple[int, int]] = []

    profile = profile_host(
        builder,
        permilles=(0, 900),
        batches=(1, 2),
        repeats=2,
        progress=lambda done, total: steps.append((done, total)),
    )

    measured = [(s.modalities, s.batch) for s in profile.samples]
    assert measured == [(5, 1), (5, 2), (5, 1), (5, 2), (1, 1), (1, 2), (1, 1), (1, 2)]
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert profile.bundle_digest == builder.bundle.digest
    assert profile.fingerprint == host_fingerprint()


def test_what_has_run_for_long_enough_is_run_five_times_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs: list[int] = []
    run = Variant.run

    def counted(variant: Variant, windows: Windows) -> NDArray[np.float32]:
        runs.append(len(next(iter(windows.values()))))
        return run(variant, windows)

    monkeypatch.setattr(Variant, "run", counted)
    builder = VariantBuilder(random_bundle())

    profile_host(builder, permilles=(0,), batches=(1, 2), repeats=8, enough_s=0.0)

    warm_up = 1
    assert Counter(runs) == {1: 2 * (warm_up + 5), 2: 2 * (warm_up + 5)}


def test_a_host_has_one_fingerprint() -> None:
    assert host_fingerprint() == host_fingerprint()
    assert len(host_fingerprint()) == 16
