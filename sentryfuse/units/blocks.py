"""What backbones share, declared once: transformer layers, modality encoders, classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sentryfuse.spec import BackboneSpec, ModelSpec
from sentryfuse.units.layout import (
    ONCE,
    Layout,
    Part,
    Rows,
    UnitLayer,
    bias,
    linear,
    norm,
    offsets,
    running_norm,
)


@dataclass
class LayoutBuilder:
    """A layout under construction; layers come in the order in which they are added."""

    spec: ModelSpec
    layers: list[UnitLayer] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def shape(self) -> BackboneSpec:
        """Shape of the backbone."""
        return self.spec.backbone

    def attention(self, name: str, layer: str, rows: Rows, modality: int | None = None) -> None:
        """Add pre-norm attention: ``layer.attention_norm`` and ``layer.attention``."""
        shape = self.shape
        self.parts += norm(f"{layer}.attention_norm", shape.embed_dim, rows)
        self.parts.append(bias(f"{layer}.attention.output", shape.embed_dim, rows))
        self.layers.append(
            UnitLayer(
                name=name,
                weights=f"{layer}.attention",
                kind="head",
                count=shape.num_heads,
                group=shape.num_heads // shape.num_kv_heads,
                rows=rows,
                modality=modality,
            )
        )

    def channels(
        self,
        name: str,
        weights: str,
        rows: Rows,
        *,
        count: int,
        group: int,
        modality: int | None = None,
    ) -> None:
        """Add the hidden channels of a feed-forward block or of a pool of experts."""
        self.parts.append(bias(f"{weights}.project", self.shape.embed_dim, rows))
        self.layers.append(
            UnitLayer(
                name=name,
                weights=weights,
                kind="channel",
                count=count,
                group=group,
                rows=rows,
                modality=modality,
            )
        )

    def encoders(self) -> None:
        """Add each modality's patches, summary token, layers, merges and positions."""
        shape, d = self.shape, self.shape.embed_dim
        for index, modality in enumerate(self.spec.modalities):
            scope = f"encoders.{modality.name}"
            tokens = [Rows.of_modality(index, n) for n in shape.encoder_tokens(modality)]
            patches = Rows.of_modality(index, shape.num_patches(modality))
            patch_dim = shape.patch_inputs(modality)
            self.parts += linear(f"{scope}.embedding.project", patch_dim, d, patches)
            window = Rows.of_modality(index, 1)
            _, columns = shape.sequence(modality)
            if shape.step_length(modality) > 1:
                self.parts += running_norm(f"{scope}.embedding.step_norm", columns, window)
            if shape.sample_norm:
                samples = (modality.length, modality.channels)
                self.parts += [
                    Part(name=f"{scope}.embedding.sample_norm.{array}", shape=samples, rows=patches)
                    for array in ("mean", "scale")
                ]
            if shape.summary_token:
                statistics = len(shape.statistics(modality)) * columns
                self.parts += linear(f"{scope}.embedding.summary", statistics, d, window)
                if shape.standardise_summary:
                    self.parts += running_norm(
                        f"{scope}.embedding.summary_norm", statistics, window
                    )
            self._position(f"{scope}.embedding.position", tokens[0], index)
            for depth in range(shape.encoder_layers):
                layer = f"{scope}.layers.{depth}"
                self.attention(f"{scope}.{depth}.attention", layer, tokens[depth], index)
                self.parts += norm(f"{layer}.feed_forward_norm", d, tokens[depth])
                self.channels(
                    f"{scope}.{depth}.ffn",
                    f"{layer}.feed_forward",
                    tokens[depth],
                    count=shape.ffn_dim,
                    group=shape.ffn_dim,
                    modality=index,
                )
                merge = f"{scope}.merges.{depth}.project"
                self.parts += linear(merge, 2 * d, d, tokens[depth + 1])
            self._position(f"{scope}.fusion_position", tokens[-1], index)

    def classifier(self) -> None:
        """Add the last map, from the pooled features to the classes."""
        self.parts += linear("classifier", self.shape.embed_dim, self.spec.num_classes, ONCE)

    def build(self) -> Layout:
        """Return the layout, with every layer's place in the unit vector."""
        begins = offsets(layer.count for layer in self.layers)
        layers = (
            replace(layer, offset=begin) for layer, begin in zip(self.layers, begins, strict=True)
        )
        return Layout(tuple(layers), tuple(self.parts))

    def _position(self, name: str, rows: Rows, index: int) -> None:
        shape = (rows.present[index], self.shape.embed_dim)
        self.parts.append(Part(name=name, shape=shape, rows=rows))


def encoded_tokens(spec: ModelSpec) -> Sequence[int]:
    """Tokens that each modality hands to the fusion."""
    return [spec.backbone.encoder_tokens(m)[-1] for m in spec.modalities]
