from __future__ import annotations

import json

import pytest

from sentryfuse.errors import ConfigError
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec, TaskSpec
from tests.bundles import small_spec


def test_a_spec_survives_json() -> None:
    spec = small_spec()
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize("missing", ["task", "modalities", "backbone", "gate_hidden_dim"])
def test_a_spec_that_lacks_a_part_is_refused(missing: str) -> None:
    data = small_spec().to_json()
    del data[missing]
    with pytest.raises(ConfigError, match=missing):
        ModelSpec.from_json(data)


def test_an_unknown_backbone_field_is_refused() -> None:
    data = small_spec().to_json()
    data["backbone"]["colour"] = 3
    with pytest.raises(ConfigError, match="colour"):
        ModelSpec.from_json(data)


def test_heads_must_fill_their_groups() -> None:
    with pytest.raises(ConfigError, match=r"num_heads \(6\) must be a multiple of"):
        BackboneSpec(num_heads=6, num_kv_heads=4)


@pytest.mark.parametrize("field", ["embed_dim", "ffn_dim", "encoder_layers", "max_tokens"])
def test_sizes_must_be_positive(field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        BackboneSpec(**{field: 0})


@pytest.mark.parametrize("limit", [-1.0, float("inf"), float("nan")])
def test_a_limit_of_features_is_a_number_of_deviations_or_none(limit: float) -> None:
    with pytest.raises(ConfigError, match="feature_limit"):
        BackboneSpec(feature_limit=limit)
    assert BackboneSpec(feature_limit=0).feature_limit == 0


def test_a_history_is_a_rich_summary_where_nothing_is_missing() -> None:
    rich, history = (BackboneSpec(summary=summary) for summary in ("rich", "history"))
    whole, gapped, once = (
        ModalitySpec(name="a", length=length, channels=2, rate_hz=1, gaps=gaps)
        for length, gaps in ((9, False), (9, True), (1, True))
    )
    assert history.statistics(whole) == rich.statistics(whole)
    assert set(history.statistics(gapped)) - set(rich.statistics(gapped)) == {"last", "ever"}
    assert history.statistics(once) == rich.statistics(once)


@pytest.mark.parametrize("name", ["", "a.b", "../x", "-a", "a" * 65, "a b"])
def test_a_modality_name_that_could_break_a_path_or_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="modality name"):
        ModalitySpec(name=name, length=1, channels=1, rate_hz=1)


def test_two_modalities_of_one_name_are_refused() -> None:
    modality = ModalitySpec(name="a", length=4, channels=1, rate_hz=1)
    with pytest.raises(ConfigError, match="differ"):
        ModelSpec(
            task=TaskSpec(name="t", class_names=("x", "y")),
            modalities=(modality, modality),
            backbone=BackboneSpec(),
        )


@pytest.mark.parametrize(
    ("length", "patch", "patches"), [(125, 5, 25), (3840, 154, 25), (60, 3, 20), (1, 1, 1)]
)
def test_patches_cover_the_window_within_the_token_bound(
    length: int, patch: int, patches: int
) -> None:
    shape = BackboneSpec(max_tokens=25)
    modality = ModalitySpec(name="a", length=length, channels=1, rate_hz=1)
    assert (shape.patch_length(modality), shape.num_patches(modality)) == (patch, patches)


def test_each_encoder_layer_halves_the_tokens() -> None:
    shape = BackboneSpec(encoder_layers=2, max_tokens=25, summary_token=False)
    modality = ModalitySpec(name="a", length=125, channels=1, rate_hz=1)
    assert shape.encoder_tokens(modality) == (25, 13, 7)


def test_short_sequences_attend_densely_and_long_ones_sparsely() -> None:
    shape = BackboneSpec(sparse_factor=5, sparse_from=150)
    assert shape.active_queries(149) == 149
    assert shape.active_queries(320) == 30


def test_a_spec_from_before_the_shared_form_lets_each_head_choose() -> None:
    data = small_spec().to_json()
    assert data["backbone"].pop("sparse_form") == "shared"
    assert ModelSpec.from_json(data).backbone.sparse_form == "by_head"


def test_an_unknown_sparse_form_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sparse_form must be one of .*, got 'magic'"):
        BackboneSpec(sparse_form="magic")


def test_an_unknown_router_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"router must be one of .*, got 'random'"):
        BackboneSpec(router="random")


@pytest.mark.parametrize(
    ("experts", "per_token", "message"),
    [(7, 1, r"num_experts \(7\) must be a multiple of .* \(5\)"), (10, 3, "at most 2, got 3")],
)
def test_disjoint_routers_need_experts_for_every_modality(
    experts: int, per_token: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        small_spec(
            kind="fusemoe", router="disjoint", num_experts=experts, experts_per_token=per_token
        )
