"""The Open Inference Protocol over gRPC: what the service is, what it serves, and inference."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import version

from app.answering.ask import Ask
from app.answering.stay import Stay
from app.errors import UnknownModelError
from app.inference.model import ServedModel
from app.protocol.budgets import parse_budget, with_parameters
from app.protocol.metadata import EXTENSIONS, SERVER_NAME, model_metadata
from app.protocol.outputs import check_outputs, infer_response
from app.protocol.render import server_timing
from app.protocol.tensor_reader import TensorReader
from app.rpc import open_inference_pb2 as pb
from app.rpc.call import Call, Method, answering, parse
from app.rpc.messages import infer_message, infer_request, metadata_message, parameters
from app.running.lifecycle import Lifecycle
from app.service import InferenceService

SERVICE = "inference.GRPCInferenceService"


class InferenceRpc:
    """Answers the protocol's own calls.

    Args:
        service: What answers requests.
        lifecycle: Knows the phase of the service.
        max_batch: Most windows in one request.
    """

    def __init__(self, service: InferenceService, lifecycle: Lifecycle, *, max_batch: int) -> None:
        self._service = service
        self._lifecycle = lifecycle
        self._max_batch = max_batch

    def methods(self) -> Iterator[Method]:
        """The calls, and the scope that each needs."""
        live = answering(pb.ServerLiveRequest, self.live)
        ready = answering(pb.ServerReadyRequest, self.ready)
        yield Method(service=SERVICE, name="ServerLive", answer=live, scope=None, quiet=True)
        yield Method(service=SERVICE, name="ServerReady", answer=ready, scope=None, quiet=True)
        model_ready = answering(pb.ModelReadyRequest, self.model_ready)
        about = answering(pb.ServerMetadataRequest, self.metadata)
        about_model = answering(pb.ModelMetadataRequest, self.model_metadata)
        yield Method(service=SERVICE, name="ModelReady", answer=model_ready, scope="read")
        yield Method(service=SERVICE, name="ServerMetadata", answer=about, scope="read")
        yield Method(service=SERVICE, name="ModelMetadata", answer=about_model, scope="read")
        yield Method(service=SERVICE, name="ModelInfer", answer=self.infer, scope="infer")

    async def live(self, request: pb.ServerLiveRequest, call: Call) -> pb.ServerLiveResponse:
        """Say whether the process is alive."""
        return pb.ServerLiveResponse(live=not self._lifecycle.ailments)

    async def ready(self, request: pb.ServerReadyRequest, call: Call) -> pb.ServerReadyResponse:
        """Say whether requests should be sent here."""
        return pb.ServerReadyResponse(ready=self._lifecycle.ready)

    async def model_ready(self, request: pb.ModelReadyRequest, call: Call) -> pb.ModelReadyResponse:
        """Say whether a model can be asked; one that is not served can't."""
        try:
            model = self._model(request.name, request.version, call)
        except UnknownModelError:
            return pb.ModelReadyResponse(ready=False)
        draining = self._lifecycle.phase == "draining"
        return pb.ModelReadyResponse(ready=model.warm and not draining)

    async def metadata(
        self, request: pb.ServerMetadataRequest, call: Call
    ) -> pb.ServerMetadataResponse:
        """Say what this is."""
        return pb.ServerMetadataResponse(
            name=SERVER_NAME, version=version("sentryfuse"), extensions=EXTENSIONS
        )

    async def model_metadata(
        self, request: pb.ModelMetadataRequest, call: Call
    ) -> pb.ModelMetadataResponse:
        """Say what a model takes and answers."""
        model = self._model(request.name, request.version, call)
        versions = [served.version for served in self._service.models.versions(model.name)]
        return metadata_message(model_metadata(model.name, versions, model.spec))

    async def infer(self, data: bytes, call: Call) -> bytes:
        """Answer one request."""
        with self._service.stay() as stay:
            return await self._infer(data, call, stay)

    async def _infer(self, data: bytes, call: Call, stay: Stay) -> bytes:
        service = self._service
        began_cpu_s = time.thread_time()
        message = parse(pb.ModelInferRequest, data)
        model = self._model(message.model_name, message.model_version, call)
        service.check_room(model)
        wanted = with_parameters(parse_budget(call.headers), parameters(message.parameters))
        parse_cpu_s = time.thread_time() - began_cpu_s
        waited_s = await service.turn_to_read(wanted.budget, call.received_s)
        began_cpu_s = time.thread_time()
        request = infer_request(message)
        check_outputs(request.outputs, classes=model.spec.num_classes)
        windows = TensorReader(model.spec, max_batch=self._max_batch).read(request)
        ask = Ask(
            windows=windows,
            budget=wanted.budget,
            received_s=call.received_s,
            waited_s=waited_s,
            parse_cpu_s=parse_cpu_s + time.thread_time() - began_cpu_s,
            cascade=wanted.cascade,
        )
        # No need to watch for a caller that leaves: gRPC cancels this task then.
        answer = await service.infer(model, ask)
        response = infer_response(answer, request.outputs, minimal=wanted.minimal)
        written: bytes = infer_message(
            response, raw=bool(message.raw_input_contents)
        ).SerializeToString()
        receipt = answer.receipt
        call.trailers += [
            ("sentryfuse-variant", answer.variant),
            ("sentryfuse-budget-met", "true" if receipt.met else "false"),
            ("server-timing", server_timing(receipt)),
        ]
        if applied := wanted.applied:
            call.trailers.append(("preference-applied", applied))
        answered_s = service.clock()
        service.answered(ask, answer, answered_s)
        if call.trace is not None:
            call.trace.tell(ask, answer, answered_s)
        stay.in_time = receipt.in_time
        return written

    def _model(self, name: str, version: str, call: Call) -> ServedModel:
        model = self._service.model(name, version or None)
        call.model = model.name
        return model
