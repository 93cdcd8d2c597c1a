from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch (extra: train)")

from sentryfuse.gate import Gate  # noqa: E402
from sentryfuse.learn.augment import Augmenter, random_rotations, shift_in_time  # noqa: E402
from sentryfuse.learn.curriculum import PresenceCurriculum  # noqa: E402
from sentryfuse.learn.gate import SentryGate  # noqa: E402
from sentryfuse.learn.losses import alignment, binarisation, distillation  # noqa: E402
from sentryfuse.learn.saliency import SaliencyTeacher, first_order, fisher  # noqa: E402
from sentryfuse.learn.settings import AugmentSettings  # noqa: E402
from sentryfuse.presence import Presence, all_presences  # noqa: E402
from sentryfuse.spec import Normalisation  # noqa: E402
from sentryfuse.units import Inventory  # noqa: E402
from tests.bundles import small_spec  # noqa: E402


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_exported_gate_scores_as_the_module_does() -> None:
    module = SentryGate(num_modalities=5, num_units=30, hidden_dim=4)
    exported = Gate.from_arrays(module.to_arrays())
    for presence in all_presences(5):
        expected = module(presence).detach().numpy()
        np.testing.assert_allclose(exported.scores(presence), expected, atol=1e-3)


def test_the_exported_gate_is_rounded_to_what_a_bundle_stores() -> None:
    for array in SentryGate(num_modalities=5, num_units=30, hidden_dim=4).to_arrays().values():
        np.testing.assert_array_equal(array, array.astype(np.float16))


def test_saliency_is_the_mean_absolute_gradient_of_the_virtual_scale() -> None:
    gradient = torch.tensor([[1.0, -2.0], [-3.0, 2.0]])
    torch.testing.assert_close(first_order(gradient), torch.tensor([2.0, 2.0]))


def test_saliency_of_a_unit_predicts_what_removing_it_does_to_a_linear_loss() -> None:
    activations = torch.tensor([[2.0, -1.0], [4.0, 3.0]])
    virtual = torch.ones(2, 2, requires_grad=True)
    (activations * virtual).sum().backward()
    torch.testing.assert_close(first_order(virtual.grad), activations.abs().mean(dim=0))


def test_fisher_is_the_mean_squared_gradient_of_the_virtual_scale() -> None:
    gradient = torch.tensor([[1.0, -2.0], [-3.0, 2.0]])
    torch.testing.assert_close(fisher(gradient), torch.tensor([5.0, 4.0]))


def test_the_largest_unit_of_every_layer_counts_one() -> None:
    inventory = Inventory(small_spec())
    target = SaliencyTeacher(inventory).update(
        Presence.full(5), torch.rand(inventory.num_units, generator=generator())
    )
    assert all(target[layer.units].max() == 1 for layer in inventory.layers)


def test_the_teacher_remembers_each_presence_by_itself() -> None:
    inventory = Inventory(small_spec())
    teacher = SaliencyTeacher(inventory, decay=0.5)
    first = torch.rand(inventory.num_units, generator=generator())
    kept = teacher.update(Presence(1, 5), first)
    teacher.update(Presence(2, 5), 1 - first)
    torch.testing.assert_close(teacher.update(Presence(1, 5), first), kept)


def test_alignment_ignores_units_of_absent_modalities_and_spares_the_target() -> None:
    scores = torch.tensor([0.5, 0.5], requires_grad=True)
    target = torch.tensor([1.0, 99.0], requires_grad=True)
    loss = alignment(scores, target, torch.tensor([True, False]))
    loss.backward()
    assert loss.item() == pytest.approx(0.25)
    assert target.grad is None


def test_binarisation_is_least_at_the_ends() -> None:
    assert binarisation(torch.tensor([0.0, 1.0])) == 0
    assert binarisation(torch.tensor([0.5])) == 0.25


def test_distillation_is_zero_for_equal_answers_and_never_teaches_the_teacher() -> None:
    teacher = torch.randn(4, 3, generator=generator()).requires_grad_()
    student = teacher.detach().clone().requires_grad_()
    loss = distillation(student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert teacher.grad is None


def test_the_curriculum_starts_with_every_modality() -> None:
    curriculum = PresenceCurriculum(5, full_fraction=0.2, ramp_fraction=0.3)
    rng = np.random.default_rng(0)
    assert {curriculum.draw(0.19, rng) for _ in range(50)} == {Presence.full(5)}


def test_the_curriculum_ends_with_every_presence() -> None:
    curriculum = PresenceCurriculum(5, full_fraction=0.2, ramp_fraction=0.3)
    rng = np.random.default_rng(0)
    assert {curriculum.draw(0.9, rng) for _ in range(3000)} == set(all_presences(5))


def test_severity_rises_steadily() -> None:
    curriculum = PresenceCurriculum(5, full_fraction=0.2, ramp_fraction=0.4)
    severities = [curriculum.severity(p / 100) for p in range(101)]
    assert severities == sorted(severities)
    assert severities[40] == pytest.approx(0.5)
    assert severities[-1] == 1.0


def test_rotations_are_rotations_by_no_more_than_the_angle() -> None:
    matrices = random_rotations(100, 0.3, generator())
    identity = torch.eye(3).expand(100, 3, 3)
    torch.testing.assert_close(matrices @ matrices.transpose(1, 2), identity, atol=1e-5, rtol=0)
    angle = ((matrices.diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2).clamp(-1, 1).acos()
    assert angle.max() <= 0.3 + 1e-3


def test_shifting_wraps_around() -> None:
    x = torch.arange(10.0).view(1, 10, 1)
    shifted = shift_in_time(x, generator()).flatten()
    steps = (shifted[1:] - shifted[:-1]) % 10
    assert (steps == 1).all()


def test_without_augmentation_a_window_is_only_standardised() -> None:
    nothing = AugmentSettings(scale_std=0, jitter_std=0, shift=False, channel_drop=0)
    augment = Augmenter(nothing, {"a": Normalisation((1.0,), (2.0,))})
    out = augment("a", torch.tensor([[[3.0], [float("nan")]]]), generator())
    torch.testing.assert_close(out, torch.tensor([[[1.0], [0.0]]]))


def test_a_dropped_channel_is_its_training_mean() -> None:
    settings = AugmentSettings(scale_std=0, jitter_std=0, shift=False, channel_drop=0.999)
    augment = Augmenter(settings, {"a": Normalisation((5.0,), (1.0,))})
    assert not augment("a", torch.full((4, 3, 1), 7.0), generator()).any()
