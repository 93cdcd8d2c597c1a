"""The ``fusemoe`` backbone: experts behind Laplace gates fuse what encoders made of each modality.

After FuseMoE (Han et al. 2024, arXiv 2402.03226). Same plan: attention within each modality only,
experts in place of attention across modalities, chosen by distance, with joint, per-modality or
disjoint routers, entropy and balance terms, a learned stand-in for each absent modality. Where we
differ stands in docs/decisions/0011. The torch-free twin is
``sentryfuse/variants/graphs/fusemoe.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sentryfuse.learn.backbones.backbone import Answer, Backbone
from sentryfuse.learn.backbones.scales import UnitScales
from sentryfuse.learn.nn import LaplaceRouter, RoutedExperts, balance_loss, entropy_loss
from sentryfuse.presence import Presence
from sentryfuse.spec import BackboneSpec, ModelSpec
from sentryfuse.units import BoolArray, Inventory
from sentryfuse.units.fusemoe import ExpertPool, expert_pools


class Pool(nn.Module):
    """Experts that are computed together, and the routers in front of them.

    Args:
        pool: Whose tokens come here.
        shape: Shape of the backbone.
    """

    def __init__(self, pool: ExpertPool, shape: BackboneSpec) -> None:
        super().__init__()
        self.pool = pool
        self.experts_per_token = shape.experts_per_token
        # Scale and shift would be redundant: only linear maps and prototypes read the norm.
        self.feed_forward_norm = nn.LayerNorm(shape.embed_dim, elementwise_affine=False)
        self.feed_forward = RoutedExperts(
            embed_dim=shape.embed_dim,
            expert_index=[e for e in range(pool.num_experts) for _ in range(shape.expert_dim)],
            num_experts=pool.num_experts,
            experts_per_token=shape.experts_per_token,
            routers={
                router: LaplaceRouter(embed_dim=shape.embed_dim, num_experts=pool.num_experts)
                for router in pool.routers
            },
        )

    def forward(
        self, tokens: Mapping[str, Tensor], channel_scale: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return what the experts say to ``[batch, time, embed_dim]`` of each modality.

        Returns:
            ``[batch, all time, embed_dim]``, and the routers' loss.
        """
        lengths = [x.shape[1] for x in tokens.values()]
        normed = self.feed_forward_norm(torch.cat(list(tokens.values()), dim=1))
        logits = [
            self.feed_forward.route(self.pool.router_of(name), x)
            for name, x in zip(tokens, torch.split(normed, lengths, dim=1), strict=True)
        ]
        joined = torch.cat(logits, dim=1)
        output: Tensor = self.feed_forward(normed, joined, channel_scale=channel_scale)
        return output, entropy_loss(logits) + balance_loss(joined, self.experts_per_token)


class FusionLayer(nn.Module):
    """Experts for the tokens of all modalities; what they say on average, every token hears.

    Attention stays within a modality; the mean is how modalities learn of one another.

    Args:
        spec: Shape of the unpruned model.
        depth: Which fusion layer.
    """

    def __init__(self, spec: ModelSpec, depth: int) -> None:
        super().__init__()
        self.pools = nn.ModuleDict(
            {pool.name: Pool(pool, spec.backbone) for pool in expert_pools(spec, depth)}
        )

    def forward(
        self, tokens: Mapping[str, Tensor], scales: UnitScales
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Let the experts speak to ``[batch, time, embed_dim]`` of each present modality.

        Returns:
            New tokens, and the routers' loss.
        """
        outputs, losses = [], []
        for block in self.pools.values():
            assert isinstance(block, Pool)
            members = {n: x for n, x in tokens.items() if n in block.pool.modalities}
            if members:
                output, loss = block(members, scales[block.pool.layer])
                outputs.append(output)
                losses.append(loss)
        y = torch.cat(outputs, dim=1)
        x = torch.cat(list(tokens.values()), dim=1) + y + y.mean(dim=1, keepdim=True)
        lengths = [x.shape[1] for x in tokens.values()]
        split = torch.split(x, lengths, dim=1)
        return dict(zip(tokens, split, strict=True)), torch.stack(losses).sum()

    def select(self, present: Sequence[str], inventory: Inventory, keep: BoolArray) -> None:
        """Drop pruned channels, and pools and routers that only absent modalities use."""
        for name, block in list(self.pools.items()):
            assert isinstance(block, Pool)
            routers = {block.pool.router_of(n) for n in block.pool.modalities if n in present}
            if routers:
                channels = inventory.kept(block.pool.layer, keep)
                block.feed_forward = block.feed_forward.select(channels, sorted(routers))
            else:
                del self.pools[name]


class FuseMoE(Backbone):
    """Per-modality encoders, fusion by experts, one mean for each modality, classifier.

    Args:
        spec: Shape of the unpruned model.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        d, size = spec.backbone.embed_dim, len(spec.modalities)
        self.fusion = nn.ModuleList(
            FusionLayer(spec, depth) for depth in range(spec.backbone.fusion_layers)
        )
        self.norm = nn.LayerNorm(d)
        self.indicators = nn.Parameter(torch.randn(size, d) * 0.02)
        self.pooled = nn.Linear(size * d, d)
        self.classifier = nn.Linear(d, spec.num_classes)

    def fuse(self, tokens: Mapping[str, Tensor], presence: Presence, scales: UnitScales) -> Answer:
        """Let experts exchange what they see, then classify from a mean for each modality."""
        auxiliary_loss = next(iter(tokens.values())).new_zeros(())
        for layer in self.fusion:
            tokens, loss = layer(tokens, scales)
            auxiliary_loss = auxiliary_loss + loss
        means = {name: self.norm(x).mean(dim=1) for name, x in tokens.items()}
        features = torch.cat(self._features(means), dim=1)
        return Answer(self.classifier(F.gelu(self.pooled(features))), auxiliary_loss)

    def select_fusion(self, presence: Presence, keep: BoolArray) -> None:
        """Drop pruned units, and fold the stand-ins of absent modalities into a bias."""
        for layer in self.fusion:
            assert isinstance(layer, FusionLayer)
            layer.select(presence.names(self.spec.modality_names), self.inventory, keep)
        d = self.spec.backbone.embed_dim
        by_modality = self.pooled.weight.detach().reshape(d, -1, d)  # [d, modalities, d]
        absent = [i for i in range(presence.size) if i not in presence]
        folded = torch.einsum("omi,mi->o", by_modality[:, absent], self.indicators[absent])
        pooled = nn.Linear(len(presence) * d, d, dtype=by_modality.dtype)
        pooled.weight = nn.Parameter(by_modality[:, list(presence)].flatten(1))
        pooled.bias = nn.Parameter((self.pooled.bias + folded).detach())
        self.pooled = pooled
        self.register_parameter("indicators", None)

    def _features(self, means: Mapping[str, Tensor]) -> list[Tensor]:
        """One vector ``[batch, embed_dim]`` for each modality that the head reads."""
        if self.indicators is None:
            return list(means.values())
        batch = len(next(iter(means.values())))
        return [
            means[name] if name in means else indicator.expand(batch, -1)
            for name, indicator in zip(self.spec.modality_names, self.indicators, strict=True)
        ]
