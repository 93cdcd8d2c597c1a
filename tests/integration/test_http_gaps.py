"""Values that were not measured, in every way that they can be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http
from numpy.typing import NDArray

from app.client import Client, WrongInputError
from sentryfuse.bundle import write_bundle
from sentryfuse.variants import VariantBuilder
from tests.bundles import random_bundle, random_windows, small_spec
from tests.integration.http_server import HttpService, StartHttp

BUNDLE = random_bundle(small_spec(gaps=(0, 3)))


@pytest.fixture
def gapped(start_http: StartHttp, tmp_path: Path) -> HttpService:
    write_bundle(BUNDLE, tmp_path / "gapped" / "toy" / "1")
    return start_http(models=tmp_path / "gapped")


@pytest.fixture
def windows() -> dict[str, NDArray[np.float32]]:
    found = {name: array.copy() for name, array in random_windows(BUNDLE.spec, batch=1).items()}
    for name in ("sensor_0", "sensor_3"):
        found[name][0, ::2, 0] = np.nan
    return found


def probabilities(windows: dict[str, NDArray[np.float32]]) -> NDArray[np.floating[Any]]:
    builder = VariantBuilder(BUNDLE)
    logits = builder.build(builder.mask(BUNDLE.spec.full_presence, 0.0)).run(windows)
    odds = np.exp(logits - logits.max())
    found: NDArray[np.floating[Any]] = (odds / odds.sum())[0]
    return found


@pytest.mark.parametrize("binary", [False, True])
def test_the_client_sends_nan(
    gapped: HttpService, windows: dict[str, NDArray[np.float32]], binary: bool
) -> None:
    with Client(gapped.url, model="toy", binary=binary) as client:
        (prediction,) = client.infer(windows).predictions
    expected = probabilities(windows)
    assert prediction.index == expected.argmax()
    assert prediction.probability == pytest.approx(expected.max(), abs=1e-5)


@pytest.mark.parametrize("binary", [False, True])
def test_so_do_clients_of_the_open_inference_protocol(
    gapped: HttpService, windows: dict[str, NDArray[np.float32]], binary: bool
) -> None:
    inputs = []
    for name, array in windows.items():
        tensor = tritonclient.http.InferInput(name, list(array.shape), "FP32")
        if binary:
            tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    if binary:
        with tritonclient.http.InferenceServerClient(gapped.url.removeprefix("http://")) as triton:
            found = triton.infer("toy", inputs).as_numpy("probabilities")[0]
    else:
        data = [np.where(np.isnan(a), None, a).ravel().tolist() for a in windows.values()]
        content = {
            "inputs": [
                {"name": n, "datatype": "FP32", "shape": [*a.shape], "data": d}
                for (n, a), d in zip(windows.items(), data, strict=True)
            ],
            "outputs": [{"name": "probabilities"}],
        }
        answer = gapped.client.post("/v2/models/toy/infer", json=content)
        found = np.array(answer.json()["outputs"][0]["data"])
    np.testing.assert_allclose(found, probabilities(windows), atol=1e-5)


@pytest.mark.parametrize("binary", [False, True])
def test_a_model_that_knows_no_gaps_refuses_them(service: HttpService, binary: bool) -> None:
    windows = {n: a.copy() for n, a in random_windows(service.bundle.spec, batch=1).items()}
    windows["sensor_1"][0, 0, 0] = np.nan
    with (
        Client(service.url, model="toy", binary=binary) as client,
        pytest.raises(WrongInputError, match="sensor_1"),
    ):
        client.infer(windows)
