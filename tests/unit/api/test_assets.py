from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from app.api.assets import Asset, accepts_gzip, read_assets, send_asset


@pytest.fixture
def asset(tmp_path: Path) -> Asset:
    (tmp_path / "page.css").write_text("p { margin: 0 }" * 40)
    (tmp_path / "notes.txt").write_text("not of the page")
    assets = read_assets(tmp_path)
    assert set(assets) == {"page.css"}
    return assets["page.css"]


def test_a_browser_that_has_a_file_is_sent_nothing(asset: Asset) -> None:
    sent = send_asset(asset, Headers({}))
    again = send_asset(asset, Headers({"if-none-match": f'"old", {sent.headers["etag"]}'}))
    assert (again.status_code, again.body) == (304, b"")
    assert again.headers["etag"] == sent.headers["etag"]


def test_another_content_has_another_tag(asset: Asset, tmp_path: Path) -> None:
    (tmp_path / "page.css").write_text("p { margin: 1px }")
    held = Headers({"if-none-match": asset.etag})
    assert send_asset(read_assets(tmp_path)["page.css"], held).status_code == 200


def test_a_file_is_compressed_for_who_can_read_that(asset: Asset) -> None:
    packed = send_asset(asset, Headers({"accept-encoding": "gzip, deflate"}))
    plain = send_asset(asset, Headers({}))
    assert gzip.decompress(packed.body) == plain.body == asset.content
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert len(packed.body) < len(plain.body)


@pytest.mark.parametrize(
    ("offer", "accepted"),
    [
        ("gzip", True),
        ("deflate, GZip;q=0.5", True),
        ("gzip;q=1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("", False),
    ],
)
def test_a_compression_that_is_ruled_out_is_not_used(offer: str, accepted: bool) -> None:
    assert accepts_gzip(Headers({"accept-encoding": offer})) is accepted


def test_only_the_pages_own_files_may_run(asset: Asset) -> None:
    policy = send_asset(asset, Headers({})).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
