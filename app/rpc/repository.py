"""The model repository extension over gRPC: index, load, unload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from app.errors import NotReadyError
from app.inference.control import ModelControl
from app.protocol.repository import version_to_load, version_to_unload
from app.rpc import open_inference_pb2 as pb
from app.rpc.call import Call, Method, answering
from app.rpc.inference import SERVICE
from app.rpc.messages import parameters
from app.running.lifecycle import Lifecycle

_RETRY_S = 5.0


class RepositoryRpc:
    """Says what is stored, and changes what is served.

    Args:
        control: Loads and unloads.
        lifecycle: Knows whether the service is about to end.
    """

    def __init__(self, control: ModelControl, lifecycle: Lifecycle) -> None:
        self._control = control
        self._lifecycle = lifecycle

    def methods(self) -> Iterator[Method]:
        """The calls, and the scope that each needs."""
        index = answering(pb.RepositoryIndexRequest, self.index)
        load = answering(pb.RepositoryModelLoadRequest, self.load)
        unload = answering(pb.RepositoryModelUnloadRequest, self.unload)
        yield Method(service=SERVICE, name="RepositoryIndex", answer=index, scope="read")
        yield Method(service=SERVICE, name="RepositoryModelLoad", answer=load, scope="admin")
        yield Method(service=SERVICE, name="RepositoryModelUnload", answer=unload, scope="admin")

    async def index(
        self, request: pb.RepositoryIndexRequest, call: Call
    ) -> pb.RepositoryIndexResponse:
        """List every version of every model that is stored or served."""
        states = await self._control.index()
        return pb.RepositoryIndexResponse(
            models=[
                pb.RepositoryIndexResponse.ModelIndex(**asdict(state))
                for state in states
                if not request.ready or state.state == "READY"
            ]
        )

    async def load(
        self, request: pb.RepositoryModelLoadRequest, call: Call
    ) -> pb.RepositoryModelLoadResponse:
        """Serve what is stored now under a name, once it is ready; what is bad changes nothing."""
        version = version_to_load(parameters(request.parameters))
        if self._lifecycle.phase == "draining":
            raise NotReadyError("the service was told to end", retry_after_s=_RETRY_S)
        await self._control.load(request.model_name, version)
        return pb.RepositoryModelLoadResponse()

    async def unload(
        self, request: pb.RepositoryModelUnloadRequest, call: Call
    ) -> pb.RepositoryModelUnloadResponse:
        """Serve a model no more; requests that have it are finished."""
        version = version_to_unload(parameters(request.parameters))
        await self._control.unload(request.model_name, version)
        return pb.RepositoryModelUnloadResponse()
