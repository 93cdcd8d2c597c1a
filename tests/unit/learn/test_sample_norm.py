from __future__ import annotations

import torch

from sentryfuse.learn.nn import SampleNorm


def test_each_sample_has_a_mean_and_a_deviation_of_its_own() -> None:
    cycle = torch.linspace(-5, 5, 8)[:, None]
    x = cycle + 0.1 * torch.randn(500, 8, 2, generator=torch.Generator().manual_seed(0))
    norm = SampleNorm(length=8, channels=2)

    norm.fit(x, floor=0.0)

    torch.testing.assert_close(norm(x).mean(dim=0), torch.zeros(8, 2), rtol=0, atol=1e-3)
    torch.testing.assert_close(
        norm(x).std(dim=0, correction=0), torch.ones(8, 2), rtol=0, atol=1e-3
    )


def test_a_sample_that_never_differs_stays_finite_and_small() -> None:
    norm = SampleNorm(length=1, channels=1)

    norm.fit(torch.full((10, 1, 1), 3.0))

    assert norm(torch.full((1, 1, 1), 3.001)).abs().item() < 0.2
