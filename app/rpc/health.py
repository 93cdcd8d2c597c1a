"""The standard health check of gRPC, which Kubernetes' probes and load balancers ask."""

from __future__ import annotations

from collections.abc import Iterator

from grpc_health.v1 import health_pb2

from app.errors import UnknownServiceError
from app.rpc.call import Call, Method, answering
from app.running.lifecycle import Lifecycle

SERVICE = "grpc.health.v1.Health"


class HealthRpc:
    """Answers ``Check``. A probe asks again and again; ``Watch`` is not offered.

    Args:
        lifecycle: Knows the phase of the service.
        services: Names that may be asked about, beside the empty one.
    """

    def __init__(self, lifecycle: Lifecycle, services: tuple[str, ...]) -> None:
        self._lifecycle = lifecycle
        self._services = ("", *services)

    def methods(self) -> Iterator[Method]:
        """The call."""
        check = answering(health_pb2.HealthCheckRequest, self.check)
        yield Method(service=SERVICE, name="Check", answer=check, scope=None, quiet=True)

    async def check(
        self, request: health_pb2.HealthCheckRequest, call: Call
    ) -> health_pb2.HealthCheckResponse:
        """Say whether requests should be sent here.

        Raises:
            UnknownServiceError: Asked about a service that there is not.
        """
        if request.service not in self._services:
            raise UnknownServiceError(f"no service {request.service[:64]!r}")
        statuses = health_pb2.HealthCheckResponse
        ready = self._lifecycle.ready
        return statuses(status=statuses.SERVING if ready else statuses.NOT_SERVING)
