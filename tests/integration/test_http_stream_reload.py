"""What becomes of a stream when its model is loaded anew, gets a newer version, or goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sentryfuse.bundle import Bundle, write_bundle
from tests.bundles import random_bundle, small_spec
from tests.integration.http_server import HttpService, start_service, wait_for, write_profile
from tests.integration.stream_client import StreamClient, recording, stream


@dataclass
class Shop:
    """A service, and the directory of its models."""

    service: HttpService
    folder: Path

    def store(self, bundle: Bundle, version: int) -> None:
        digest = write_bundle(bundle, self.folder / "own" / "toy" / str(version))
        write_profile(bundle, digest, self.folder / "profiles")

    def ask(self, what: str) -> None:
        response = self.service.client.post(f"/v2/repository/models/toy/{what}", json={})
        assert response.status_code == 200, response.text

    def feed(self, client: StreamClient, second: float) -> None:
        client.send(second, **recording(self.service, 1.0))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    bundle = random_bundle(small_spec())
    digest = write_bundle(bundle, tmp_path / "own" / "toy" / "1")
    write_profile(bundle, digest, tmp_path / "profiles")
    service = start_service(tmp_path, models=tmp_path / "own", default_model="toy")
    service.bundle = bundle
    wait_for(service, "/health/ready")
    yield Shop(service, tmp_path)
    assert service.stop() == 0


def test_the_next_window_is_asked_of_the_newer_version(shop: Shop) -> None:
    with stream(shop.service, hop_s=1) as client:
        shop.feed(client, 0.0)
        assert client.next()["version"] == "1"
        shop.store(random_bundle(small_spec(), seed=1), 2)
        shop.ask("load")
        shop.feed(client, 1.0)
        assert client.next()["version"] == "2"


def test_a_stream_ends_when_the_model_takes_other_sensors(shop: Shop) -> None:
    with stream(shop.service, hop_s=1) as client:
        shop.store(random_bundle(small_spec(((4, 1),))), 2)
        shop.ask("load")
        shop.feed(client, 0.0)
        assert [message["skipped"] for message in client.rest()] == ["unloaded"]
        assert client.closed == (1001, "model toy takes other sensors now; open a new stream")


def test_a_stream_ends_when_the_model_is_unloaded_and_does_not_keep_it(shop: Shop) -> None:
    with stream(shop.service, hop_s=1) as client, stream(shop.service) as idle:
        shop.feed(client, 0.0)
        client.next()
        shop.ask("unload")
        shop.feed(client, 1.0)
        assert [message["skipped"] for message in client.rest()] == ["unloaded"]
        assert client.closed == (1001, "model toy was unloaded")
        shop.service.client.get("/health/live")
        left = [line for line in shop.service.log_lines() if "has left memory" in line["message"]]
        assert left, "though a stream of it is open"
        assert idle.socket.protocol.close_rcvd is None
