"""``/metrics``: as text, or as OpenMetrics for who reads that."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.peers import Crew
from app.telemetry import openmetrics
from app.telemetry.families import written
from app.telemetry.metrics import CONTENT_TYPE, Metrics


class MetricsApi:
    """Writes the metrics of this process, or of all processes of the service.

    Args:
        metrics: Of this process.
        crew: The other processes; None if there are none.
    """

    path = "/metrics"

    def __init__(self, metrics: Metrics, crew: Crew | None) -> None:
        self._metrics = metrics
        self._crew = crew

    def route(self) -> Route:
        """Where they are."""
        return Route(self.path, self.scrape)

    async def scrape(self, request: Request) -> Response:
        """Write them, in the format that is asked for."""
        if self._crew is None:
            text, families = self._metrics.render(), self._metrics.traced()
        else:
            families = await self._crew.families()
            text = written(families.values())
        headers = {"Vary": "Accept"}
        if not openmetrics.is_wanted(request.headers.get("accept", "")):
            return Response(text, media_type=CONTENT_TYPE, headers=headers)
        text = openmetrics.openmetrics(text, families.values())
        return Response(text, media_type=openmetrics.CONTENT_TYPE, headers=headers)
