from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="backbones need torch (extra: train)")

from sentryfuse.errors import ConfigError  # noqa: E402
from sentryfuse.learn.backbones import Backbone, build_backbone  # noqa: E402
from sentryfuse.learn.backbones.flexmoe import expert_of, router_of  # noqa: E402
from sentryfuse.presence import Presence, all_presences  # noqa: E402
from sentryfuse.spec import ModelSpec  # noqa: E402
from tests.bundles import small_spec  # noqa: E402

FULL = Presence.full(5)
ROUTED = {
    "flexmoe": small_spec(kind="flexmoe", experts_per_token=2),
    "fusemoe": small_spec(kind="fusemoe", experts_per_token=2),
    "fusemoe, joint": small_spec(kind="fusemoe", router="joint", experts_per_token=2),
    "fusemoe, disjoint": small_spec(
        kind="fusemoe", router="disjoint", num_experts=15, experts_per_token=2
    ),
}
routed = pytest.mark.parametrize("spec", ROUTED.values(), ids=ROUTED.keys())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def windows(spec: ModelSpec, presence: Presence) -> dict[str, torch.Tensor]:
    return {
        m.name: torch.randn(4, m.length, m.channels) for m in (spec.modalities[i] for i in presence)
    }


def router_parameters(model: Backbone, word: str = "routers") -> dict[str, torch.Tensor]:
    return {name: p for name, p in model.named_parameters() if word in name}


@routed
@pytest.mark.parametrize("presence", [FULL, Presence(0b00101, 5), Presence(0b01000, 5)])
def test_routers_have_a_finite_loss_that_moves_them(spec: ModelSpec, presence: Presence) -> None:
    model = build_backbone(spec)
    answer = model.answer(windows(spec, presence))
    answer.auxiliary_loss.backward()
    moved = [p.grad for p in router_parameters(model).values() if p.grad is not None]
    assert answer.auxiliary_loss.isfinite()
    assert moved
    assert all(g.isfinite().all() and g.any() for g in moved)


def test_maestro_wants_nothing_of_its_router() -> None:
    spec = small_spec(experts_per_token=2)
    loss = build_backbone(spec).answer(windows(spec, FULL)).auxiliary_loss
    assert loss == 0
    assert not loss.requires_grad


@routed
def test_a_single_expert_leaves_nothing_to_want(spec: ModelSpec) -> None:
    data = spec.to_json()
    data["backbone"] |= {"num_experts": 5 if "disjoint" in str(data) else 1, "experts_per_token": 1}
    single = ModelSpec.from_json(data)
    for presence in (FULL, Presence(0b00101, 5)):
        loss = build_backbone(single).answer(windows(single, presence)).auxiliary_loss
        assert loss.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("presence", "used"), [(FULL, "generalised"), (Presence(6, 5), "special")])
def test_complete_and_incomplete_samples_have_their_own_router(
    presence: Presence, used: str
) -> None:
    spec = ROUTED["flexmoe"]
    model = build_backbone(spec)
    answer = model.answer(windows(spec, presence))
    (answer.logits.sum() + answer.auxiliary_loss).backward()
    touched = {n for n, p in router_parameters(model).items() if p.grad is not None}
    assert touched == router_parameters(model, used).keys()


def test_the_specialised_router_learns_to_put_the_combinations_expert_first() -> None:
    spec, presence = ROUTED["flexmoe"], Presence(0b00110, 5)
    model = build_backbone(spec)
    inputs = windows(spec, presence)
    optimiser = torch.optim.Adam(router_parameters(model).values(), lr=0.05)
    for _ in range(40):
        optimiser.zero_grad()
        model.answer(inputs).auxiliary_loss.backward()
        optimiser.step()
    seen = []
    pool = model.get_submodule("fusion.0.feed_forward")
    pool.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    model(inputs)
    assert router_of(presence) == "specialised"
    assert (seen[0].argmax(dim=-1) == expert_of(presence, 3)).all()


def test_incomplete_combinations_share_all_experts_but_that_of_complete_samples() -> None:
    incomplete = {expert_of(p, 4) for p in all_presences(5) if p.num_missing}
    assert incomplete == {1, 2, 3}
    assert expert_of(FULL, 4) == 0


def test_a_stand_in_of_fusemoe_matters_to_the_answer() -> None:
    spec, presence = ROUTED["fusemoe"], Presence(0b00110, 5)
    model = build_backbone(spec)
    inputs = windows(spec, presence)
    before = model(inputs).detach()
    with torch.no_grad():
        model.get_parameter("indicators")[0] += 1.0  # of an absent modality
    absent_changed = model(inputs).detach()
    with torch.no_grad():
        model.get_parameter("indicators")[1] += 1.0  # of a present one
    assert not torch.allclose(before, absent_changed)
    torch.testing.assert_close(model(inputs), absent_changed)


@pytest.mark.parametrize("kind", ["maestro", "flexmoe", "fusemoe"])
def test_what_one_modality_shows_reaches_the_features_of_another(kind: str) -> None:
    spec = small_spec(kind=kind)
    model = build_backbone(spec)
    inputs = windows(spec, FULL)
    seen = []
    model.get_submodule("norm").register_forward_hook(lambda *args: seen.append(args[2]))
    model(inputs)
    model(inputs | {"sensor_0": inputs["sensor_0"] + 1.0})
    last = [x[:, -1] if kind != "fusemoe" else x for x in seen]
    # fusemoe norms each modality by itself: its last call of a pass is the last modality
    before, after = (last[4], last[9]) if kind == "fusemoe" else (last[0], last[1])
    assert not torch.allclose(before, after)


def test_an_unknown_backbone_is_refused() -> None:
    data = small_spec().to_json()
    data["backbone"]["kind"] = "perceiver"
    with pytest.raises(ConfigError, match=r"\['flexmoe', 'fusemoe', 'maestro'\], got 'perceiver'"):
        build_backbone(ModelSpec.from_json(data))
