"""LitServe."""

from typing import Any

import litserve
import numpy as np
from dense_model import BATCH_DELAY_S, MOST_WINDOWS, DenseModel, cores, ports


class Dense(litserve.LitAPI):
    """The dense graph; each worker has its own session."""

    def setup(self, device: str) -> None:
        """Load it."""
        self.model = DenseModel()

    def decode_request(self, request) -> dict[str, Any]:
        """Lists of numbers to arrays; the body, where the parameter has this name and no type."""
        return {n: np.asarray(rows, np.float32) for n, rows in request["inputs"].items()}

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave the stacking to the model."""
        return inputs

    def predict(self, x: list[dict[str, Any]]) -> Any:
        """Classify a batch."""
        return self.model.run_requests(x)

    def unbatch(self, output: Any) -> list[Any]:
        """One row for each request."""
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """Array to a list of numbers."""
        return {"logits": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(
        Dense(max_batch_size=MOST_WINDOWS, batch_timeout=BATCH_DELAY_S),
        accelerator="cpu",
        workers_per_device=cores(),
        fast_queue=True,
    )
    server.run(
        host="127.0.0.1",
        port=ports()[0],
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
