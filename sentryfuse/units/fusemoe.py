"""Parts of the ``fusemoe`` backbone; its module is ``learn/backbones/fusemoe.py``."""

from __future__ import annotations

from dataclasses import dataclass

from sentryfuse.spec import ModelSpec
from sentryfuse.units.blocks import LayoutBuilder, encoded_tokens
from sentryfuse.units.layout import NEVER, ONCE, Layout, Part, Rows, bias, norm

_SHARED = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertPool:
    """Experts of one fusion layer that are computed together."""

    name: str
    layer: str
    """Name of their channels in the inventory."""
    weights: str
    """Beginning of the names of their arrays."""
    modalities: tuple[str, ...]
    """Whose tokens come here."""
    routers: tuple[str, ...]
    num_experts: int
    modality: int | None
    """Index of the only modality whose tokens come here; None if all do."""

    def router_of(self, modality: str) -> str:
        """Which router serves the tokens of a modality."""
        return modality if modality in self.routers else _SHARED


def expert_pools(spec: ModelSpec, depth: int) -> tuple[ExpertPool, ...]:
    """Return the pools of a fusion layer: one of all experts, or one for each modality."""
    shape, names = spec.backbone, spec.modality_names
    scope = f"fusion.{depth}"
    if shape.router != "disjoint":
        pool = ExpertPool(
            name=_SHARED,
            layer=f"{scope}.moe",
            weights=f"{scope}.pools.{_SHARED}.feed_forward",
            modalities=names,
            routers=names if shape.router == "per_modality" else (_SHARED,),
            num_experts=shape.num_experts,
            modality=None,
        )
        return (pool,)
    return tuple(
        ExpertPool(
            name=name,
            layer=f"{scope}.moe.{name}",
            weights=f"{scope}.pools.{name}.feed_forward",
            modalities=(name,),
            routers=(name,),
            num_experts=shape.num_experts // len(names),
            modality=index,
        )
        for index, name in enumerate(names)
    )


def fusemoe_layout(spec: ModelSpec) -> Layout:
    """Encoders in modality order, then the channels of the experts."""
    shape, d, size = spec.backbone, spec.backbone.embed_dim, len(spec.modalities)
    layout = LayoutBuilder(spec)
    layout.encoders()
    tokens = encoded_tokens(spec)
    for depth in range(shape.fusion_layers):
        for pool in expert_pools(spec, depth):
            _add_pool(layout, pool, dict(zip(spec.modality_names, tokens, strict=True)))
    features = Rows(present=(1,) * size)
    layout.parts += [
        *norm("norm", d, ONCE),
        # A sliced model folds what stands in for absent modalities into the bias below.
        Part(name="indicators", shape=(size, d), rows=NEVER),
        Part(
            name="pooled.weight", shape=(d, size * d), rows=features, macs=d * d, kept_per_row=d * d
        ),
        bias("pooled", d, ONCE),
    ]
    layout.classifier()
    return layout.build()


def _add_pool(layout: LayoutBuilder, pool: ExpertPool, tokens: dict[str, int]) -> None:
    shape, names = layout.shape, layout.spec.modality_names
    for router in pool.routers:
        served = [tokens[n] if pool.router_of(n) == router else 0 for n in names]
        layout.parts.append(
            Part(
                name=f"{pool.weights}.routers.{router}.prototypes",
                shape=(pool.num_experts, shape.embed_dim),
                rows=Rows(present=tuple(served)),
                macs=pool.num_experts * shape.embed_dim,
            )
        )
    rows = Rows(present=tuple(tokens[n] if n in pool.modalities else 0 for n in names))
    layout.channels(
        pool.layer,
        pool.weights,
        rows,
        count=pool.num_experts * shape.expert_dim,
        group=shape.expert_dim,
        modality=pool.modality,
    )
