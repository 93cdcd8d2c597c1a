"""The live reading, and the files of the page that shows it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from app.api.live import Live
from tests.integration.http_server import HttpService

PAGE = Path("app/web/page")


def test_the_live_reading_tells_what_was_answered(service: HttpService) -> None:
    assert service.infer(X_Latency_Budget_Ms="5000").status_code == 200
    time.sleep(0.6)  # readings are kept for half a second
    live = Live.model_validate(service.client.get("/v1/live").json())
    assert (live.status, live.because, live.processes) == ("ready", [], 1)
    assert [(m.name, m.version, m.ready) for m in live.models] == [("toy", "2", True)]
    assert live.requests["answered"] == sum(live.latency.counts) > 0
    assert live.budgets["latency"]["met"] > 0
    used = live.variants.used[0]
    assert (used.model, used.presence) == ("toy", list(service.bundle.spec.modality_names))
    assert used.energy_j > 0
    assert live.power.now_w > 0
    assert live.power.quality == "modelled"
    assert live.started_s is not None
    assert abs(live.started_s - time.time()) < 3600


def test_many_watchers_cost_as_much_as_one(service: HttpService) -> None:
    readings = [service.client.get("/v1/live").json()["at_s"] for _ in range(20)]
    assert len(set(readings)) < len(readings)


def test_watching_is_not_logged_at_every_reading(service: HttpService) -> None:
    answer = service.client.get("/v1/live", headers={"X-Request-Id": "a-watcher"})
    assert answer.headers["x-request-id"] == "a-watcher"
    later = service.client.get("/v1/models")
    service.log_of(later.headers["x-request-id"])
    assert not [line for line in service.log_lines() if line.get("request_id") == "a-watcher"]


def test_the_page_and_everything_it_names_is_there(service: HttpService) -> None:
    page = service.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    named = set(re.findall(r'(?:href|src)="(page/[^"]+)"', page.text))
    assert named == {f"page/{file.name}" for file in PAGE.iterdir()} - {"page/index.html"}
    for path in named:
        answer = service.client.get(f"/{path}")
        assert answer.status_code == 200
        again = service.client.get(f"/{path}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("path", ["/page/nothing.js", "/page/", "/page/..%2fdocs.html"])
def test_nothing_else_is_under_the_page(service: HttpService, path: str) -> None:
    assert service.client.get(path).status_code == 404


@pytest.mark.parametrize("file", sorted(PAGE.iterdir()), ids=lambda file: file.name)
def test_the_page_needs_no_other_host(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|[\"'`(=]//", text)
