import onnx
import pytest

from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.units import Inventory
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.graphs.maestro import MaestroGraphs
from sentryfuse.variants.graphs.writer import GraphWriter
from tests.bundles import random_bundle, small_spec


def _graph(spec: ModelSpec, presence: Presence, ratio: float) -> onnx.ModelProto:
    bundle = random_bundle(spec)
    mask = VariantBuilder(bundle).mask(presence, ratio)
    return onnx.load_from_string(MaestroGraphs(bundle, Inventory(spec)).write(mask))


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(),
        small_spec(sparse_from=4, sparse_factor=1, max_tokens=12),
        small_spec(experts_per_token=2, encoder_layers=2),
    ],
    ids=["dense", "sparse", "routed"],
)
def test_a_graph_is_valid_onnx(spec: ModelSpec) -> None:
    onnx.checker.check_model(_graph(spec, spec.full_presence, 0.5), full_check=True)


def test_inputs_are_the_present_modalities_with_a_free_batch() -> None:
    graph = _graph(small_spec(), Presence(0b00110, 5), 0.5).graph

    shapes = {
        i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in graph.input
    }
    assert shapes == {"sensor_1": ["batch", 10, 2], "sensor_2": ["batch", 7, 1]}


def test_an_absent_modality_leaves_no_node_behind() -> None:
    nodes = [len(_graph(small_spec(), Presence(bits, 5), 0.0).graph.node) for bits in (1, 3, 7)]

    assert nodes[0] < nodes[1] < nodes[2]


def test_pruning_leaves_fewer_values_and_no_more_nodes() -> None:
    dense, pruned = (_graph(small_spec(), Presence.full(5), ratio).graph for ratio in (0.0, 0.8))

    assert sum(len(c.raw_data) for c in pruned.initializer) < sum(
        len(c.raw_data) for c in dense.initializer
    )
    assert len(pruned.node) <= len(dense.node)


def test_equal_masks_give_equal_bytes() -> None:
    spec = small_spec()

    one, other = (_graph(spec, spec.full_presence, 0.5).SerializeToString() for _ in range(2))

    assert one == other


def test_a_vector_of_integers_is_stored_once() -> None:
    writer = GraphWriter()

    assert writer.integers(-1, 4) == writer.integers(-1, 4)
    assert writer.integers(-1, 5) != writer.integers(-1, 4)


def test_a_builder_hands_out_the_graph_that_its_variant_runs() -> None:
    builder = VariantBuilder(random_bundle())
    mask = builder.mask(Presence(0b00110, 5), 0.5)

    assert len(builder.graph(mask)) == builder.build(mask).card.memory_bytes
