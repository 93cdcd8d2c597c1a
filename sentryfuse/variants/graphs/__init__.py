"""ONNX graphs of pruned backbones, written node by node from a bundle's weights."""

from collections.abc import Mapping

from sentryfuse.variants.graphs.family import BackboneGraphs
from sentryfuse.variants.graphs.flexmoe import FlexMoEGraphs
from sentryfuse.variants.graphs.fusemoe import FuseMoEGraphs
from sentryfuse.variants.graphs.maestro import MaestroGraphs

GRAPH_FAMILIES: Mapping[str, type[BackboneGraphs]] = {
    "flexmoe": FlexMoEGraphs,
    "fusemoe": FuseMoEGraphs,
    "maestro": MaestroGraphs,
}

__all__ = ["GRAPH_FAMILIES", "BackboneGraphs"]
