"""Triton's own clients, unchanged, over every transport; what a test sees of them is one thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from tests.bundles import random_windows
from tests.integration.http_server import HttpService

WAYS = ("http-binary", "http-json", "grpc")
_GRPC_CODES = {
    "404": "NOT_FOUND",
    "422": "INVALID_ARGUMENT",
    "422 for a budget": "FAILED_PRECONDITION",
    "504": "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True)
class TritonAnswer:
    """An answer, whichever transport it came over."""

    id: str
    model: str
    version: str
    outputs: tuple[str, ...]
    parameters: dict[str, Any]
    result: Any

    def as_numpy(self, name: str) -> Any:
        """The values of an output; None if it did not come."""
        return self.result.as_numpy(name)


@dataclass(frozen=True)
class TritonWay:
    """One transport and how tensors travel over it."""

    name: str
    service: HttpService
    client: Any

    @property
    def library(self) -> ModuleType:
        """Triton's client library for the transport."""
        return tritonclient.grpc if self.name == "grpc" else tritonclient.http

    def tensor(self, name: str, array: Any, datatype: str = "FP32") -> Any:
        """An input."""
        tensor = self.library.InferInput(name, list(array.shape), datatype)
        if self.name == "grpc":
            tensor.set_data_from_numpy(array)
        else:
            # FP16 has no JSON in the protocol.
            binary = self.name == "http-binary" or datatype == "FP16"
            tensor.set_data_from_numpy(array, binary_data=binary)
        return tensor

    def inputs(self, *names: str, batch: int = 1) -> list[Any]:
        """Random windows of these modalities, or of all."""
        windows = random_windows(self.service.bundle.spec, names or None, batch=batch)
        return [self.tensor(name, array) for name, array in windows.items()]

    def output(self, name: str, **how: Any) -> Any:
        """An output that is asked for."""
        if self.name != "grpc":
            how["binary_data"] = self.name == "http-binary"
        return self.library.InferRequestedOutput(name, **how)

    def infer(self, *tensors: Any, model: str = "toy", **asked: Any) -> TritonAnswer:
        """Ask the model."""
        return self.read(self.client.infer(model, list(tensors), **asked))

    def read(self, result: Any) -> TritonAnswer:
        """Say what an answer holds."""
        response = result.get_response()
        if self.name == "grpc":
            return TritonAnswer(
                response.id,
                response.model_name,
                response.model_version,
                tuple(output.name for output in response.outputs),
                {
                    n: getattr(p, p.WhichOneof("parameter_choice"))
                    for n, p in response.parameters.items()
                },
                result,
            )
        return TritonAnswer(
            response.get("id", ""),
            response["model_name"],
            response["model_version"],
            tuple(output["name"] for output in response["outputs"]),
            response["parameters"],
            result,
        )

    def metadata(self, model: str = "toy", version: str = "") -> dict[str, Any]:
        """Metadata of a model; over gRPC, 64-bit numbers arrive as text."""
        if self.name == "grpc":
            described = self.client.get_model_metadata(model, version, as_json=True)
        else:
            described = self.client.get_model_metadata(model, version)
        for tensor in described["inputs"] + described["outputs"]:
            tensor["shape"] = [int(length) for length in tensor["shape"]]
        return described

    def refusal(self, *tensors: Any, **asked: Any) -> tuple[str, str]:
        """Status and message of an error."""
        with pytest.raises(InferenceServerException) as caught:
            self.infer(*tensors, **asked)
        return caught.value.status(), caught.value.message()

    def status(self, http: str) -> str:
        """How this transport says what is this status over HTTP."""
        if self.name == "grpc":
            return f"StatusCode.{_GRPC_CODES[http]}"
        return http.partition(" ")[0]


@contextmanager
def triton_way(name: str, service: HttpService) -> Iterator[TritonWay]:
    """Connect; close at the end."""
    library = tritonclient.grpc if name == "grpc" else tritonclient.http
    with library.InferenceServerClient(address_of(name, service)) as client:
        yield TritonWay(name, service, client)


def address_of(name: str, service: HttpService) -> str:
    """Where a client of this kind connects."""
    if name == "grpc":
        assert service.grpc_address is not None
        return service.grpc_address
    return service.url.removeprefix("http://")


def aio_client(name: str, service: HttpService) -> Any:
    """An asynchronous client."""
    library = tritonclient.grpc.aio if name == "grpc" else tritonclient.http.aio
    return library.InferenceServerClient(address_of(name, service))


def _value(parameter: Any) -> Any:
    return getattr(parameter, parameter.WhichOneof("parameter_choice"))


def as_text(labels: Any) -> Sequence[str]:
    """Labels as text: they come as bytes where they travel as bytes."""
    return [
        label.decode() if isinstance(label, bytes) else label for label in np.ravel(labels).tolist()
    ]
