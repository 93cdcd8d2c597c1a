"""Two service processes that share one Redis: what one knows, the other need not find out."""

from __future__ import annotations

from pathlib import Path

from tests.integration.http_server import HttpService, StartHttp
from tests.integration.redis_server import StartRedis

MEASURED = "measured this host"


def looked_up(service: HttpService, tier: str, outcome: str) -> float:
    return service.metric("sentryfuse_mask_cache_total", tier=tier, outcome=outcome) or 0.0


def said(service: HttpService, words: str) -> bool:
    return any(words in line["message"] for line in service.log_lines())


def test_the_second_process_starts_from_the_first_ones_masks_and_profile(
    start_redis: StartRedis, start_http: StartHttp, tmp_path: Path
) -> None:
    url = start_redis().url
    first = start_http(redis_url=url, warm_missing=1)
    computed = looked_up(first, "gate", "hit")
    assert computed == 18  # three ratios for all sensors, and for each with one missing

    second = start_http(redis_url=url, warm_missing=1, profiles=tmp_path / "empty")

    assert looked_up(second, "redis", "hit") == computed
    assert looked_up(second, "gate", "hit") == 0
    assert not said(second, MEASURED)
    assert list((tmp_path / "empty").iterdir())  # kept for the next start without Redis
    assert second.infer().json()["predictions"] == first.infer().json()["predictions"]


def test_without_the_first_one_the_second_measures_and_computes(
    start_redis: StartRedis, start_http: StartHttp, tmp_path: Path
) -> None:
    alone = start_http(redis_url=start_redis().url, profiles=tmp_path / "empty")

    assert said(alone, MEASURED)
    assert looked_up(alone, "gate", "hit") == 3
