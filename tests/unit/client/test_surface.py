from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import app.client
from app.client import AsyncClient, Client, ClientError

FOREIGN = ("sentryfuse", "fastapi", "starlette", "pydantic", "onnxruntime", "orjson", "app.api")


def operations(kind: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_offer_the_same_with_the_same_arguments_but_streams() -> None:
    asynchronous = operations(AsyncClient)
    del asynchronous["stream"]  # two directions at once: for an event loop only
    asynchronous["close"] = asynchronous.pop("aclose")
    assert asynchronous == operations(Client)


def test_every_operation_of_the_asynchronous_client_is_awaited() -> None:
    assert all(
        inspect.iscoroutinefunction(getattr(AsyncClient, n))
        for n in operations(AsyncClient)
        if n != "stream"  # is entered with ``async with``
    )


def test_importing_the_client_brings_numpy_and_httpx_and_nothing_of_the_service() -> None:
    code = "import sys, json, app.client; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert {"httpx", "numpy"} <= modules
    assert not modules & {*FOREIGN, "websockets"}


def test_what_is_promised_is_there() -> None:
    assert sorted(app.client.__all__) == app.client.__all__
    public = {n for n in vars(app.client) if n[0].isupper()}
    assert public == set(app.client.__all__)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "", "/v1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="url must be like http://host:8080"):
        Client(url)


@pytest.mark.parametrize("key", ["a\nb", "clé"])
def test_a_key_that_can_not_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ClientError) as caught:
        Client(api_key=key)
    assert key not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    assert "hush" not in repr(vars(Client(api_key="hush")))
