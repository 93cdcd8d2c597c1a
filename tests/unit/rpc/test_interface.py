"""The interface definition: what was generated from it, and that it is the public protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2 as public

from app.rpc import open_inference_pb2 as pb

ROOT = Path(__file__).parents[3]
MESSAGES = sorted(pb.DESCRIPTOR.message_types_by_name)


def fields(message) -> dict:
    """Everything of a message that goes over the wire, in names that both sides share."""
    described = {
        f.name: (f.number, f.type, f.is_repeated, f.message_type and f.message_type.full_name)
        for f in message.fields
    }
    return described | {nested.name: fields(nested) for nested in message.nested_types}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_those_of_the_public_protocol(name: str) -> None:
    ours = fields(pb.DESCRIPTOR.message_types_by_name[name])
    assert ours == fields(public.DESCRIPTOR.message_types_by_name[name])


def test_calls_are_those_of_the_public_protocol() -> None:
    ours = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    theirs = public.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert ours.full_name == theirs.full_name == "inference.GRPCInferenceService"
    for name, method in ours.methods_by_name.items():
        other = theirs.methods_by_name[name]
        assert method.input_type.full_name == other.input_type.full_name
        assert method.output_type.full_name == other.output_type.full_name


def test_our_messages_live_beside_those_of_a_client_library() -> None:
    ours = pb.ModelInferRequest(model_name="toy", raw_input_contents=[b"\0\1"])
    theirs = public.ModelInferRequest.FromString(ours.SerializeToString())
    assert theirs.model_name == "toy"
    assert theirs.raw_input_contents == [b"\0\1"]


def test_the_generated_code_is_that_of_the_definition(tmp_path: Path) -> None:
    command = [ROOT / "scripts" / "generate-grpc", tmp_path]
    subprocess.run(command, check=True, env={**os.environ, "PYTHON": sys.executable})
    for file in ("open_inference_pb2.py", "open_inference_pb2.pyi"):
        assert (ROOT / "app" / "rpc" / file).read_text() == (tmp_path / file).read_text()
