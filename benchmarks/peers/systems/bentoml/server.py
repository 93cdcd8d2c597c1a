"""BentoML: one service, batching that adapts."""

import bentoml  # its own reading of annotations needs them as they are, not as text
import numpy as np
from dense_model import MOST_WINDOWS, DenseModel, cores


@bentoml.service(workers=cores(), logging={"access": {"enabled": False}}, traffic={"timeout": 60})
class Dense:
    """The dense graph; each worker has its own session."""

    def __init__(self) -> None:
        self.model = DenseModel()

    @bentoml.api(batchable=True, max_batch_size=MOST_WINDOWS)
    def predict(self, windows: np.ndarray) -> np.ndarray:
        """Classify windows ``[batch, sensors, time, channels]``: batchable APIs take one array."""
        return self.model.run_stacked(windows.astype(np.float32))
