"""KServe's Python server, with a model of our own."""

from __future__ import annotations

from dense_model import DenseModel, cores, ports
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import generate_uuid


class Dense(Model):
    """The dense graph; each worker has its own session."""

    def load(self) -> bool:
        """Load it."""
        self.model = DenseModel()
        self.ready = True
        return True

    def __getstate__(self) -> dict[str, object]:
        """Leave the session behind: workers are sent the model, and no session can be."""
        return {name: value for name, value in self.__dict__.items() if name != "model"}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Load it anew, in a worker."""
        self.__dict__.update(state)
        self.load()

    def predict(
        self,
        payload: InferRequest,
        headers: dict[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        """Classify one request."""
        logits = self.model.run({i.name: i.as_numpy() for i in payload.inputs})
        output = InferOutput("logits", list(logits.shape), "FP32")
        output.set_data_from_numpy(logits, binary_data=True)
        return InferResponse(payload.id or generate_uuid(), self.name, [output])


if __name__ == "__main__":
    model = Dense("dense")
    model.load()
    ModelServer(
        http_port=ports()[0], workers=cores(), enable_grpc=False, enable_latency_logging=False
    ).start([model])
