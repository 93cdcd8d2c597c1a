"""MLServer: a runtime of our own, since it has none for ONNX."""

from dense_model import DenseModel
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Dense(MLModel):
    """The dense graph; each worker has its own session."""

    async def load(self) -> bool:
        """Load it."""
        self.model = DenseModel()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify what the server has batched."""
        windows = {i.name: NumpyCodec.decode_input(i).astype("f4") for i in payload.inputs}
        logits = NumpyCodec.encode_output("logits", self.model.run(windows))
        return InferenceResponse(model_name=self.name, outputs=[logits])
