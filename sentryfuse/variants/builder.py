"""From a bundle to variants: gate, mask, sliced weights, graph, session, card."""

from __future__ import annotations

import logging
import time

import numpy as np

from sentryfuse.bundle import Bundle
from sentryfuse.errors import BundleError, ConfigError, MaskMismatchError
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask, permille, select_units
from sentryfuse.units import Inventory
from sentryfuse.variants.card import write_card
from sentryfuse.variants.engine import Engine, providers_of
from sentryfuse.variants.graphs import GRAPH_FAMILIES
from sentryfuse.variants.variant import Variant, open_session
from sentryfuse.variants.weights import check_weights

logger = logging.getLogger(__name__)


class VariantBuilder:
    """Makes masks and variants of one bundle; any number of threads may share it.

    Args:
        bundle: The model.
        threads: Threads that one run of a variant may use.
        engine: What variants run on.

    Raises:
        BundleError: The bundle's weights or gate are not its spec's.
        ConfigError: ``threads`` is not positive, or there is no such engine here.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 1, engine: Engine = "cpu") -> None:
        if threads < 1:
            raise ConfigError(f"threads must be at least 1, got {threads}")
        providers_of(engine)  # said at once rather than with the first variant
        check_weights(bundle.spec, bundle.weights)
        self.engine = engine
        self.bundle = bundle
        self.inventory = Inventory(bundle.spec)
        self._gate = bundle.gate
        if self._gate.num_units != self.inventory.num_units:
            raise BundleError(
                f"gate scores {self._gate.num_units} units, "
                f"the model has {self.inventory.num_units}"
            )
        self._graphs = GRAPH_FAMILIES[bundle.spec.backbone.kind](bundle, self.inventory)
        self._threads = threads
        self._dense_bytes: dict[Presence, int] = {}

    @property
    def threads(self) -> int:
        """Threads that one run of a variant may use."""
        return self._threads

    def mask(self, presence: Presence, ratio: float) -> Mask:
        """Return what the gate keeps for this presence at this pruning ratio.

        Raises:
            ConfigError: ``ratio`` is not in [0, 1).
        """
        thousandths = permille(ratio)
        scores = self._gate.scores(presence)
        keep = select_units(scores, self.inventory, presence, thousandths / 1000)
        return Mask(presence, thousandths, keep)

    def graph(self, mask: Mask) -> bytes:
        """Return the variant of a mask as a serialised ONNX graph: raw windows in, logits out.

        Raises:
            MaskMismatchError: The mask is not of this bundle, or leaves a layer empty.
        """
        self._check(mask)
        return self._graphs.write(mask)

    def build(self, mask: Mask) -> Variant:
        """Make a mask physical.

        Raises:
            MaskMismatchError: The mask is not of this bundle, or leaves a layer empty.
        """
        started = time.perf_counter()
        graph = self.graph(mask)
        card = write_card(
            self.bundle,
            self.inventory,
            mask,
            memory_bytes=len(graph),
            dense_bytes=self._size_unpruned(mask, len(graph)),
        )
        variant = Variant(card, open_session(graph, threads=self._threads, engine=self.engine))
        elapsed_ms = 1e3 * (time.perf_counter() - started)
        logger.debug(
            "built presence %s at %d permille in %.1f ms",
            mask.presence.hex,
            mask.permille,
            elapsed_ms,
        )
        return variant

    def _size_unpruned(self, mask: Mask, size: int) -> int:
        """Return the size of the unpruned graph; ``size`` is that of ``mask``'s graph."""
        presence = mask.presence
        if presence not in self._dense_bytes:
            active = self.inventory.active(presence)
            dense = np.array_equal(mask.keep, active)
            self._dense_bytes[presence] = (
                size if dense else self._graphs.size(Mask(presence, 0, active))
            )
        return self._dense_bytes[presence]

    def _check(self, mask: Mask) -> None:
        modalities = len(self.bundle.spec.modalities)
        if mask.presence.size != modalities:
            raise MaskMismatchError(
                f"mask is for {mask.presence.size} modalities, the model has {modalities}"
            )
        if mask.keep.shape != (self.inventory.num_units,):
            raise MaskMismatchError(
                f"mask must have {self.inventory.num_units} units, got {mask.keep.shape}"
            )
        for layer in self.inventory.layers:
            needed = self.inventory.tokens(layer, mask.presence) > 0
            if needed and not mask.keep[layer.units].any():
                raise MaskMismatchError(f"mask leaves no unit in layer {layer.name}")
