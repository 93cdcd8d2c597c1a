"""Where the time of one request went, told to an OpenTelemetry collector; off unless asked for."""

from app.tracing.stages import Stage, stages
from app.tracing.tracer import Attributes, RequestTrace, Tracer

__all__ = ["Attributes", "RequestTrace", "Stage", "Tracer", "stages"]
