"""Run by the environment of the KServe client: asks a service, and prints what came back.

python kserve_client.py URL MODEL < {"sensor_0": [[…]], …}
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput


def request(model: str, windows: dict[str, Any], *, binary: bool, **fields: Any) -> InferRequest:
    tensors = []
    for name, rows in windows.items():
        array = np.array(rows, np.float32)
        tensor = InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return InferRequest(model_name=model, infer_inputs=tensors, **fields)


async def refusal(client: InferenceRESTClient, url: str, **call: Any) -> str:
    try:
        await client.infer(url, **call)
    except httpx.HTTPStatusError as error:
        return str(error)
    return "no error"


async def main(url: str, model: str, windows: dict[str, Any]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    outputs = [RequestedOutput("probabilities"), RequestedOutput("index")]
    answers = {}
    for form, binary in (("json", False), ("binary", True)):
        parameters = {"latency_budget_ms": 20_000, "binary_data_output": binary}
        asked = request(
            model,
            windows,
            binary=binary,
            request_id=f"as-{form}",
            parameters=parameters,
            request_outputs=outputs,
        )
        answer = await client.infer(url, asked, model_name=model)
        answers[form] = {
            "id": answer.id,
            "model": answer.model_name,
            "parameters": dict(answer.parameters),
            "outputs": {o.name: o.as_numpy().ravel().tolist() for o in answer.outputs},
        }
    good = request(model, windows, binary=True)
    bad = request(model, {next(iter(windows)): [[0.0]]}, binary=False)
    return {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model_ready": await client.is_model_ready(url, model),
        "nobody_ready": await client.is_model_ready(url, "nobody"),
        "answers": answers,
        "unknown": await refusal(client, url, data=good, model_name="nobody"),
        "wrong": await refusal(client, url, data=bad, model_name=model),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
