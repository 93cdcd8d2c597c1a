"""Ray Serve on one node."""

from __future__ import annotations

import os
import signal

import numpy as np
import ray
from dense_model import BATCH_DELAY_S, FOLDER, MOST_WINDOWS, DenseModel, cores, ports
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

_UNDER_WAY = 100


@serve.deployment(
    num_replicas=cores(), ray_actor_options={"num_cpus": 1}, max_ongoing_requests=_UNDER_WAY
)
class Dense:
    """The dense graph; each replica has its own session."""

    def __init__(self) -> None:
        self.model = DenseModel()

    @serve.batch(max_batch_size=MOST_WINDOWS, batch_wait_timeout_s=BATCH_DELAY_S)
    async def answer(self, bodies: list[bytes]) -> list[bytes]:
        """Classify a batch of windows ``[sensors, time, channels]``, sent as float32."""
        shape = (len(self.model.sensors), *self.model.window_shape)
        windows = np.stack([np.frombuffer(body, "<f4").reshape(shape) for body in bodies])
        return [row.tobytes() for row in self.model.run_stacked(windows)]

    async def __call__(self, request: Request) -> Response:
        """Take one request."""
        logits = await self.answer(await request.body())
        return Response(logits, media_type="application/octet-stream")


if __name__ == "__main__":
    ray.init(
        num_cpus=cores(),
        include_dashboard=False,
        _temp_dir=os.environ[FOLDER],
        configure_logging=False,
    )
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=ports()[0]))
    quiet = LoggingConfig(enable_access_log=False, log_level="WARNING")
    serve.run(Dense.bind(), route_prefix="/predict", logging_config=quiet)
    signal.pause()
