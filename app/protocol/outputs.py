"""An answer as output tensors and parameters of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import orjson

from app.answering.answer import Answer
from app.errors import WrongFieldError
from app.protocol.diagnosis import shorten
from app.protocol.render import plan_json, receipt_json
from app.protocol.tensors import (
    BYTES,
    InferResponse,
    Parameter,
    RequestedOutput,
    Tensor,
)


def infer_response(
    answer: Answer, requested: Sequence[RequestedOutput] = (), *, minimal: bool = False
) -> InferResponse:
    """Describe an answer; ``requested`` has passed :func:`check_outputs`.

    Args:
        answer: What the model says.
        requested: Outputs; all if there are none.
        minimal: Without plan and receipt.
    """
    chosen = requested or ALL_OUTPUTS
    return InferResponse(
        model_name=answer.model,
        model_version=answer.version,
        outputs=tuple(_output(answer, output) for output in chosen),
        id=answer.id,
        parameters={} if minimal else _parameters(answer),
    )


def check_outputs(requested: Sequence[RequestedOutput], *, classes: int) -> None:
    """Refuse, before anything is run, outputs that there are not.

    Raises:
        WrongFieldError: An unknown output, one asked for twice, or a classification that is
            impossible.
    """
    seen: set[str] = set()
    for output in requested:
        if output.name not in OUTPUTS:
            known = ", ".join(OUTPUTS)
            message = f"unknown output {shorten(output.name)}; there is {known}"
            raise WrongFieldError(message, field="outputs")
        if output.name in seen:
            message = f"output {output.name!r} was asked for more than once"
            raise WrongFieldError(message, field="outputs")
        seen.add(output.name)
        _check_classification(output, classes)


def _check_classification(output: RequestedOutput, classes: int) -> None:
    count = output.parameters.get("classification")
    if count is None:
        return
    if output.name != "probabilities":
        message = f"classification is offered for probabilities, not for {output.name}"
        raise WrongFieldError(message, field="outputs")
    if type(count) is not int or not count >= 0:
        raise WrongFieldError(
            f"classification must be a whole number from 1 to {classes}, got {shorten(count)}",
            field="outputs",
        )


def _output(answer: Answer, output: RequestedOutput) -> Tensor:
    count = output.parameters.get("classification")
    if count:
        assert isinstance(count, int)
        return _classification(answer, min(count, len(answer.class_names)))
    return OUTPUTS[output.name](answer)


def _probabilities(answer: Answer) -> Tensor:
    return Tensor("probabilities", "FP32", answer.probabilities)


def _index(answer: Answer) -> Tensor:
    return Tensor("index", "INT64", answer.probabilities.argmax(axis=1).astype(np.int64))


def _label(answer: Answer) -> Tensor:
    best = answer.probabilities.argmax(axis=1)
    return _texts("label", [answer.class_names[i] for i in best], (len(best),))


def _classification(answer: Answer, count: int) -> Tensor:
    """``value:index:label`` of the likeliest, as Triton's classification extension has it."""
    rows = answer.probabilities
    best = np.argsort(-rows, axis=1, kind="stable")[:, :count]
    texts = [
        f"{row[i]:f}:{i}:{answer.class_names[i]}"
        for row, indices in zip(rows, best, strict=True)
        for i in indices
    ]
    return _texts("probabilities", texts, best.shape)


def _texts(name: str, texts: Sequence[str], shape: tuple[int, ...]) -> Tensor:
    values = np.empty(len(texts), dtype=object)
    values[:] = [text.encode() for text in texts]
    return Tensor(name, BYTES, values.reshape(shape))


OUTPUTS: Mapping[str, Callable[[Answer], Tensor]] = MappingProxyType(
    {"probabilities": _probabilities, "label": _label, "index": _index}
)
ALL_OUTPUTS = tuple(RequestedOutput(name) for name in OUTPUTS)


def _parameters(answer: Answer) -> dict[str, Parameter]:
    """Plan and receipt: the main facts by themselves, and all of it as JSON.

    The protocol has no nested parameters.
    """
    plan = plan_json(answer.plan, answer.presence, answer.modality_names)
    receipt = receipt_json(answer.receipt)
    parameters: dict[str, Parameter] = {
        "variant": answer.variant,
        "presence": ",".join(plan["presence"]),
        "ratio": plan["ratio"],
        "reason": plan["reason"],
        "latency_ms": receipt["total_ms"],
        "inference_ms": receipt["inference_ms"],
        "energy_mj": receipt["energy_mj"],
        "energy_source": receipt["energy_source"],
        "energy_quality": receipt["energy_quality"],
        "budget_met": receipt["met"],
        "plan": orjson.dumps(plan).decode(),
        "receipt": orjson.dumps(receipt).decode(),
    }
    if "missed_because" in receipt:
        parameters["missed_because"] = receipt["missed_because"]
    return parameters
