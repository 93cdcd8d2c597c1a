"""The graphs of one bundle: what is folded once, and what every backbone writes alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from sentryfuse.bundle import Bundle
from sentryfuse.pruning import Mask
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec
from sentryfuse.units import Inventory
from sentryfuse.variants.graphs.draft import Draft
from sentryfuse.variants.graphs.embedding import Embedding, write_summaries
from sentryfuse.variants.graphs.encoder import encode, encoder_ends, encoder_streams
from sentryfuse.variants.graphs.linear import Array, Linear, Weights
from sentryfuse.variants.graphs.standardising import StandardisingEmbedding
from sentryfuse.variants.graphs.stream import Stream, turn_stream
from sentryfuse.variants.graphs.writer import Part

OUTPUT = "model.logits"


class BackboneGraphs(ABC):
    """Writes the graph of any mask of one bundle; any number of threads may share it.

    Written for one core and few windows: constants are folded while writing, and what does not
    depend on the mask is folded once, here. Parity tests hold each backbone's graph and torch
    module together for every presence and ratio.

    Args:
        bundle: The model.
        inventory: Its units.
    """

    def __init__(self, bundle: Bundle, inventory: Inventory) -> None:
        self.spec = bundle.spec
        self._inventory = inventory
        weights = self.prepare(bundle.weights)
        for stream in [*encoder_streams(self.spec), self.fusion_stream()]:
            weights = turn_stream(weights, stream)
        self.weights = weights
        self._embeddings = tuple(
            _embedding_kind(self.spec.backbone, m).read(
                weights,
                f"encoders.{m.name}.embedding",
                m,
                bundle.normalisation[m.name],
                self.spec.backbone,
            )
            for m in self.spec.modalities
        )

    def write(self, mask: Mask) -> bytes:
        """Return the serialised graph of the pruned model.

        Its inputs are raw windows ``[batch, length, channels]`` named after the modalities that
        are present; its output is ``[batch, classes]``.
        """
        return b"".join(self._parts(mask))

    def size(self, mask: Mask) -> int:
        """Return how many bytes :meth:`write` would, without putting them together."""
        return sum(map(len, self._parts(mask)))

    def _parts(self, mask: Mask) -> list[Part]:
        draft = Draft(self.spec, self._inventory, self.weights, mask)
        embeddings = [self._embeddings[i] for i in mask.presence]
        encoded, offsets = _encode_all(draft, embeddings)
        logits = self.fuse(draft, encoded, offsets)
        return draft.graph.serialise(logits, name=OUTPUT, shape=(self.spec.num_classes,))

    def prepare(self, weights: Weights) -> Weights:
        """Bring the fusion's weights into the form that is read; by default they are."""
        return weights

    @abstractmethod
    def fusion_stream(self) -> Stream:
        """Return the stream of the tokens of all modalities, from the encoders to the head."""

    @abstractmethod
    def fuse(self, draft: Draft, encoded: Sequence[str], offsets: Sequence[Array]) -> str:
        """Write the fusion.

        Args:
            draft: Where it goes.
            encoded: ``[batch, time, embed_dim]`` of each present modality.
            offsets: What is still to be added to them, ``[time, embed_dim]`` each.

        Returns:
            Logits, ``[batch, classes]``.
        """


def _embedding_kind(
    shape: BackboneSpec, modality: ModalitySpec
) -> type[Embedding | StandardisingEmbedding]:
    """Fold the normalisation wherever that is possible."""
    explicit = shape.summary != "plain" or shape.standardise_summary or modality.gaps
    folds = not explicit and shape.step_length(modality) == 1
    return Embedding if folds else StandardisingEmbedding


def _encode_all(
    draft: Draft, embeddings: Sequence[Embedding | StandardisingEmbedding]
) -> tuple[list[str], list[Array]]:
    modalities = [e.modality for e in embeddings]
    windows = [draft.graph.input(m.name, (m.length, m.channels)) for m in modalities]
    folded = [(w, e) for w, e in zip(windows, embeddings, strict=True) if isinstance(e, Embedding)]
    summaries: dict[str, str] = {}
    if draft.shape.summary_token and folded:
        names = [window for window, _ in folded]
        tokens = write_summaries(draft.graph, names, [e for _, e in folded])
        summaries = dict(zip(names, tokens, strict=True))
    encoded, offsets = [], []
    for embedding, window in zip(embeddings, windows, strict=True):
        if isinstance(embedding, Embedding):
            x = embedding.write(draft.graph, window, summaries.get(window))
        else:
            x = embedding.write(draft.graph, window)
        x, offset = encode(draft, embedding.modality.name, x, len(embedding.position))
        encoded.append(x)
        offsets.append(offset)
    return encoded, offsets


def fusion_stream(
    spec: ModelSpec,
    *,
    writers: Sequence[str],
    norms: dict[str, Sequence[str]],
    positions: Sequence[str] = (),
) -> Stream:
    """Return a stream that begins with the encoders' tokens."""
    return Stream(
        width=spec.backbone.embed_dim,
        writers=[*encoder_ends(spec), *writers],
        positions=[*(f"encoders.{m}.fusion_position" for m in spec.modality_names), *positions],
        norms=norms,
        merges=[],
    )


def split_head(weights: Weights, modalities: Sequence[str]) -> dict[str, Array]:
    """Take a head that reads one vector for each modality apart: ``pooled.NAME`` for each."""
    columns = np.split(weights["pooled.weight"], len(modalities), axis=1)
    split = dict(weights)
    for name, column in zip(modalities, columns, strict=True):
        split |= {f"pooled.{name}.weight": column, f"pooled.{name}.bias": np.zeros(len(column))}
    return split


def join_head(weights: Weights, modalities: Sequence[str]) -> Linear:
    """Put a head together again, from the parts of these modalities."""
    parts = [Linear.read(weights, f"pooled.{name}") for name in modalities]
    bias = weights["pooled.bias"] + np.sum([part.bias for part in parts], axis=0)
    return Linear(np.concatenate([part.weight for part in parts], axis=1), bias)
