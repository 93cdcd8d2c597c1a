"""Calls to a service over gRPC, with our own messages and nothing in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2

from app.rpc import open_inference_pb2 as pb
from sentryfuse.spec import ModelSpec
from tests.bundles import random_windows

SERVICE = "inference.GRPCInferenceService"


class RpcClient:
    """A channel, and the calls that can be made over it."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def send(self, name: str, data: bytes, **how: Any) -> tuple[bytes, grpc.Call]:
        """Send bytes, well formed or not; return the answer's bytes and the finished call."""
        service = how.pop("service", SERVICE)
        how.setdefault("timeout", 20)
        return self.channel.unary_unary(f"/{service}/{name}").with_call(data, **how)

    def ask(self, request: Any, **how: Any) -> Any:
        """Send a message; return the answer's message."""
        name = type(request).__name__.removesuffix("Request")
        answer, _ = self.send(name, request.SerializeToString(), **how)
        return getattr(pb, f"{name}Response").FromString(answer)

    def infer(self, request: pb.ModelInferRequest, **how: Any) -> pb.ModelInferResponse:
        """Ask for an inference."""
        return self.ask(request, **how)

    def health(self, service: str = "") -> int:
        """Return the status that the standard health check gives."""
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        answer, _ = self.send("Check", request, service="grpc.health.v1.Health", timeout=5)
        return health_pb2.HealthCheckResponse.FromString(answer).status


@contextmanager
def rpc_client(address: str | None, **options: Any) -> Iterator[RpcClient]:
    """Connect; close at the end."""
    assert address is not None
    chosen = [(f"grpc.{name}", value) for name, value in options.items()]
    with grpc.insecure_channel(address, options=chosen) as channel:
        yield RpcClient(channel)


def request_of(
    spec: ModelSpec, *names: str, raw: bool = True, batch: int = 1, **fields: Any
) -> pb.ModelInferRequest:
    """A request to the model toy with random windows of these modalities, or of all."""
    request = pb.ModelInferRequest(**{"model_name": "toy", **fields})
    for name, array in random_windows(spec, names or None, batch=batch).items():
        array = array.astype(np.float32)
        tensor = request.inputs.add(name=name, datatype="FP32", shape=array.shape)
        if raw:
            request.raw_input_contents.append(array.tobytes())
        else:
            tensor.contents.fp32_contents.extend(array.ravel().tolist())
    return request
