"""From settings to a gRPC server."""

from __future__ import annotations

from app.inference.control import ModelControl
from app.rpc.door import Door
from app.rpc.health import HealthRpc
from app.rpc.inference import SERVICE, InferenceRpc
from app.rpc.repository import RepositoryRpc
from app.rpc.server import RpcServer
from app.running.lifecycle import Lifecycle
from app.security import Admission
from app.service import InferenceService
from app.settings import Settings
from app.tracing import Tracer

_CALLS_BESIDE = 256  # that may be under way beside as many as wait and as many as run
_LAST_WORDS_S = 1.5  # for what has to be let go of after the last answer


def open_rpc(
    settings: Settings,
    port: int,
    service: InferenceService,
    lifecycle: Lifecycle,
    control: ModelControl,
    admission: Admission,
    tracer: Tracer | None = None,
) -> RpcServer:
    """Return a server that does not listen yet."""
    door = Door(
        admission=admission,
        metrics=service.metrics,
        access_log=settings.access_log,
        clock=service.clock,
        tracer=tracer,
    )
    inference = InferenceRpc(service, lifecycle, max_batch=settings.max_batch)
    repository = RepositoryRpc(control, lifecycle)
    health = HealthRpc(lifecycle, (SERVICE,))
    return RpcServer(
        door,
        [*inference.methods(), *repository.methods(), *health.methods()],
        host=settings.host,
        port=port,
        max_message_bytes=settings.max_body_bytes,
        # The queue sheds long before, and says when to come back.
        max_calls=2 * settings.max_queue + _CALLS_BESIDE,
        grace_s=settings.grace_s - settings.drain_s - _LAST_WORDS_S,
    )
