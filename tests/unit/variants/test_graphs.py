import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sentryfuse.presence import Presence
from sentryfuse.spec import ModelSpec
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.graphs.writer import IR_VERSION, OPSET, GraphWriter
from tests.bundles import random_bundle, small_spec


def _graph(spec: ModelSpec, presence: Presence, ratio: float) -> onnx.ModelProto:
    builder = VariantBuilder(random_bundle(spec))
    return onnx.load_from_string(builder.graph(builder.mask(presence, ratio)))


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(),
        small_spec(sparse_from=4, sparse_factor=1, max_tokens=12),
        small_spec(sparse_from=4, sparse_factor=1, max_tokens=12, sparse_form="by_head"),
        small_spec(experts_per_token=2, encoder_layers=2),
        small_spec(kind="flexmoe", experts_per_token=2),
        small_spec(kind="fusemoe", experts_per_token=2),
        small_spec(kind="fusemoe", router="disjoint", num_experts=10, experts_per_token=1),
    ],
    ids=["dense", "sparse", "sparse by head", "routed", "flexmoe", "fusemoe", "disjoint"],
)
@pytest.mark.parametrize("bits", [0b11111, 0b01010])
def test_a_graph_is_valid_onnx(spec: ModelSpec, bits: int) -> None:
    onnx.checker.check_model(_graph(spec, Presence(bits, 5), 0.5), full_check=True)


def test_a_graph_is_what_the_formats_own_library_would_have_written() -> None:
    writer = GraphWriter()
    ramp, long = np.arange(6, dtype="<f4").reshape(2, 3), np.arange(1000, dtype="<f4")
    x, ramp_name, long_name = (
        writer.input("x", (3,)),
        writer.constant(ramp),
        writer.constant(long),
    )
    shape, axis = writer.integers(-1, 1 << 40), writer.integer(-(1 << 62))
    attributes = {"one": -7, "half": 0.5, "word": "grüß", "many": (1, -300, 0), "no": False}
    given = writer.node("Anything", x, ramp_name, long_name, shape, axis, **attributes)
    ours = onnx.load_from_string(b"".join(writer.serialise(given, name="y", shape=(2, 2))))

    node = helper.make_node("Anything", [x, ramp_name, long_name, shape, axis], ["y"], "Anything.0")
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    constants = {
        ramp_name: ramp,
        long_name: long,
        shape: np.array([-1, 1 << 40], "<i8"),
        axis: np.array(-(1 << 62), "<i8"),
    }
    float32 = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "sentryfuse",
        [helper.make_tensor_value_info("x", float32, ["batch", 3])],
        [helper.make_tensor_value_info("y", float32, ["batch", 2, 2])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    theirs = helper.make_model(
        graph, producer_name="sentryfuse", opset_imports=opset, ir_version=IR_VERSION
    )
    assert ours == theirs


def test_inputs_are_the_present_modalities_with_a_free_batch() -> None:
    graph = _graph(small_spec(), Presence(0b00110, 5), 0.5).graph

    shapes = {
        i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim]
        for i in graph.input
    }
    assert shapes == {"sensor_1": ["batch", 10, 2], "sensor_2": ["batch", 7, 1]}


@pytest.mark.parametrize("kind", ["maestro", "flexmoe", "fusemoe"])
def test_an_absent_modality_leaves_no_node_of_its_encoder_behind(kind: str) -> None:
    spec = small_spec(kind=kind)
    nodes = [len(_graph(spec, Presence(bits, 5), 0.0).graph.node) for bits in (1, 3, 7)]

    assert nodes[0] < nodes[1] < nodes[2]


def test_the_bank_is_one_pad_and_a_constant() -> None:
    spec = small_spec(((12, 3),) * 3, kind="flexmoe", summary_token=False)  # nothing else to pad
    pads = [
        sum(node.op_type == "Pad" for node in _graph(spec, Presence(bits, 3), 0.0).graph.node)
        for bits in (0b111, 0b011, 0b001)
    ]

    assert pads == [0, 1, 1]


def test_stand_ins_of_fusemoe_are_part_of_a_bias() -> None:
    whole = small_spec(((12, 3),) * 3, kind="fusemoe")
    lonely = small_spec(((12, 3),), kind="fusemoe")
    kinds = [
        [node.op_type for node in _graph(spec, Presence(1, size), 0.0).graph.node]
        for spec, size in ((whole, 3), (lonely, 1))
    ]

    assert kinds[0] == kinds[1]


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
