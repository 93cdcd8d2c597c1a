from __future__ import annotations

import pytest

from app.security import scope_of


@pytest.mark.parametrize(
    ("call", "scope"),
    [
        ("GET /health/live", None),
        ("HEAD /health/ready", None),
        ("GET /health", None),
        ("GET /healthz", None),
        ("GET /v2/health/live", None),
        ("GET /v2/health/ready", None),
        ("GET /docs", None),
        ("GET /", None),
        ("HEAD /", None),
        ("GET /page/page.css", None),
        ("GET /page/app.js", None),
        ("GET /v1/live", "read"),
        ("POST /v1/infer", "infer"),
        ("POST /v1/models/toy/infer", "infer"),
        ("POST /v1/models/toy/versions/2/infer", "infer"),
        ("POST /v1/models/toy/plan", "infer"),
        ("GET /v1/models/toy/stream", "infer"),
        ("POST /v2/models/toy/infer", "infer"),
        ("POST /v2/models/toy/versions/2/infer", "infer"),
        ("GET /v1/models", "read"),
        ("GET /v1/models/toy/sample", "read"),
        ("GET /v1/power", "read"),
        ("GET /v2", "read"),
        ("GET /v2/models/toy/ready", "read"),
        ("POST /v2/repository/index", "read"),
        ("GET /metrics", "read"),
        ("GET /openapi.json", "read"),
        ("PUT /v1/power", "admin"),
        ("POST /v2/repository/models/toy/load", "admin"),
        ("POST /v2/repository/models/toy/unload", "admin"),
    ],
)
def test_what_a_call_needs(call: str, scope: str | None) -> None:
    assert scope_of(*call.split(" ")) == scope


@pytest.mark.parametrize(
    ("call", "scope"),
    [
        ("POST /health/live", "admin"),
        ("GET /health/live/x", "read"),
        ("GET /health/live\n", "read"),
        ("GET /nowhere", "read"),
        ("POST /", "admin"),
        ("GET /page/", "read"),
        ("GET /page/../v1/live", "read"),
        ("GET /page/keys.json", "read"),
        ("POST /nowhere", "admin"),
        ("DELETE /v1/models/toy", "admin"),
        ("POST /v1/models/a/b/infer", "admin"),
        ("POST /v1/power/infer", "admin"),
        ("POST /v2/repository/models/infer/load", "admin"),
        ("BREW /v1/infer", "admin"),
    ],
)
def test_what_is_not_in_the_table_is_closed(call: str, scope: str) -> None:
    method, _, path = call.partition(" ")
    assert scope_of(method, path) == scope
