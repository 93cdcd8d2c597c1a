"""Downloads over real HTTP: resumed, checked, atomic."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sentryfuse.data.download import DownloadError, check_archive, download
from sentryfuse.errors import DataError

CONTENT = bytes(range(256)) * 8000  # 2 MB
DIGEST = sha256(CONTENT).hexdigest()


class ArchiveServer(ThreadingHTTPServer):
    """Serves one file; can break off, refuse ranges or answer with an error."""

    content = CONTENT
    ranges = True
    break_off_after: int | None = None
    statuses: tuple[int, ...] = ()
    """Answers given before the file is served."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str | None] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up, which some tests do on purpose."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class _Handler(BaseHTTPRequestHandler):
    server: ArchiveServer

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers["Range"]
        server.asked.append(wanted)
        if server.statuses:
            status, *rest = server.statuses
            server.statuses = tuple(rest)
            self.send_error(status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            whole = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()
        if server.break_off_after is not None:
            body, server.break_off_after = body[: server.break_off_after], None
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ArchiveServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def fetch(url: str, target: Path, *, size: int = len(CONTENT), digest: str = DIGEST) -> Path:
    return download(url, target, size_bytes=size, sha256_hex=digest, pause=lambda s: None)


def test_a_file_arrives_whole_with_progress(server: ArchiveServer, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    target = tmp_path / "deep" / "archive.zip"
    download(
        server.url,
        target,
        size_bytes=len(CONTENT),
        sha256_hex=DIGEST,
        progress=lambda *s: seen.append(s),
    )
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in target.parent.iterdir()] == ["archive.zip"]


def test_a_broken_connection_is_resumed_where_it_broke(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.break_off_after = 700_000
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=700000-"]


def test_a_later_call_resumes_what_an_earlier_one_left(
    server: ArchiveServer, tmp_path: Path
) -> None:
    (tmp_path / "a.zip.partial").write_bytes(CONTENT[:1_000_000])
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000000-"]


def test_a_server_without_ranges_sends_it_all_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "a.zip.partial").write_bytes(b"x" * 1000)
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_that_is_there_and_right_is_not_fetched_again(
    server: ArchiveServer, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "a.zip")
    assert server.asked == []


def test_a_file_that_is_there_and_wrong_is_refused_and_kept(
    server: ArchiveServer, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match="has 4 bytes, the known archive has 2048000"):
        fetch(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == b"mine"


def test_other_content_of_the_same_size_is_refused_and_not_kept(
    server: ArchiveServer, tmp_path: Path
) -> None:
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(DataError, match="SHA-256 is "):
        fetch(server.url, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [-1000, 1000])
def test_a_server_with_another_file_is_refused_before_it_is_fetched(
    server: ArchiveServer, tmp_path: Path, change: int
) -> None:
    server.content = (CONTENT * 2)[: len(CONTENT) + change]
    with pytest.raises(DownloadError, match=f"has {len(CONTENT) + change} bytes, the known"):
        fetch(server.url, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_busy_server_is_asked_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.statuses = (503, 429)
    assert fetch(server.url, tmp_path / "a.zip").exists()


def test_a_page_that_is_gone_is_not_asked_for_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.statuses = (404,)
    with pytest.raises(DownloadError, match="the server answers 404"):
        fetch(server.url, tmp_path / "a.zip")
    assert len(server.asked) == 1


def test_without_a_network_the_error_names_url_and_reason(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/archive.zip"
        pauses: list[float] = []
        with pytest.raises(DownloadError, match=rf"cannot fetch {url}: .*refused"):
            download(url, tmp_path / "a.zip", size_bytes=5, sha256_hex=DIGEST, pause=pauses.append)
    assert pauses == [2.0, 4.0]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a.zip", "archive.zip"])
def test_only_http_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="only http and https"):
        fetch(url, tmp_path / "a.zip")


def test_checking_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.zip: cannot be read: No such file"):
        check_archive(tmp_path / "gone.zip", 1, DIGEST)
