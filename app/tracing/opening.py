"""From settings to a tracer."""

from __future__ import annotations

from collections.abc import Callable

from app.settings import Settings
from app.tracing.tracer import Tracer
from sentryfuse.errors import ConfigError


def open_tracer(settings: Settings, *, version: str, clock: Callable[[], float]) -> Tracer | None:
    """Return a tracer, if there is a collector to send to.

    Raises:
        ConfigError: The packages are missing.
    """
    if settings.otlp_endpoint is None:
        return None
    try:
        from app.tracing.otlp import OtlpTracer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"SENTRYFUSE_OTLP_ENDPOINT needs {error.name}: pip install 'sentryfuse[otel]'"
        ) from error
    return OtlpTracer(settings.otlp_endpoint, version=version, clock=clock)
