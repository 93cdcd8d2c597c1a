"""data list, download, convert and describe, with an archive served over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sentryfuse.data import registry
from sentryfuse.data.dsads import DSADS, convert
from sentryfuse.data.windows import load_windows, save_windows
from tests.integration.cli.conftest import Run, labelled_windows
from tests.unit.data.archives import SMALL, first_values, write_archive


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small archive, served where the data set ``dsads`` says that its archive is."""
    served = tmp_path / "served"
    served.mkdir()
    path = write_archive(served / "archive.zip")
    content = path.read_bytes()
    handler = partial(_Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        small = replace(
            DSADS,
            url=f"http://127.0.0.1:{server.server_port}/archive.zip",
            size_bytes=len(content),
            sha256=sha256(content).hexdigest(),
            convert=partial(convert, layout=SMALL),
        )
        monkeypatch.setattr(registry, "SOURCES", {"dsads": small})
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("archive")
def test_download_fetches_checks_and_converts(run: Run, tmp_path: Path) -> None:
    done = run("data", "download", "dsads")
    assert done.code == 0
    assert done.out == "data/dsads.npz: 12 windows, 5 modalities\n"
    assert "licence: CC BY 4.0; cite: B. Barshan" in done.err
    windows = load_windows(tmp_path / "data" / "dsads.npz")
    np.testing.assert_array_equal(windows.arrays["torso"][:, 0, 0], first_values())
    kept = tmp_path / "data" / "archives" / DSADS.archive_name
    assert kept.exists()


def test_a_second_download_uses_the_archive_that_is_there(
    run: Run, archive: Path, tmp_path: Path
) -> None:
    run("data", "download", "dsads")
    archive.unlink()
    done = run("data", "download", "dsads", "--out", tmp_path / "again.npz", "-q")
    assert (done.code, done.err) == (0, "")


def test_without_the_server_the_error_says_how_to_go_on(
    failure: Callable[..., str], archive: Path
) -> None:
    archive.unlink()
    line = failure("data", "download", "dsads", "-q")
    assert "the server answers 404" in line
    assert "sentryfuse data convert dsads --archive FILE" in line


def test_convert_reads_an_archive_by_hand(run: Run, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "mine.npz"
    assert run("data", "convert", "dsads", "--archive", archive, "--out", out).code == 0
    assert len(load_windows(out)) == 12


def test_another_archive_is_converted_only_when_told_so(
    run: Run, failure: Callable[..., str], archive: Path
) -> None:
    write_archive(archive, extra={"readme.txt": "a new edition"})
    line = failure("data", "convert", "dsads", "--archive", archive)
    assert "the known archive has" in line
    assert "--no-verify converts it all the same" in line
    assert run("data", "convert", "dsads", "--archive", archive, "--no-verify").code == 0


def test_a_damaged_archive_is_refused_and_nothing_is_written(
    failure: Callable[..., str], archive: Path, tmp_path: Path
) -> None:
    archive.write_bytes(archive.read_bytes()[:-100])
    out = tmp_path / "out.npz"
    line = failure(
        "data", "convert", "dsads", "--archive", archive, "--no-verify", "--out", out, "-q"
    )
    assert "not a readable zip archive" in line
    assert not out.exists()


def test_an_unknown_data_set_is_refused(failure: Callable[..., str]) -> None:
    assert "unknown data set 'mnist'; there are ['dsads']" in failure("data", "download", "mnist")


def test_list_names_each_data_set_with_its_licence(run: Run) -> None:
    (source,) = run("data", "list", "--json").data
    assert (source["name"], source["licence"]) == ("dsads", "CC BY 4.0")
    assert source["home"] in run("data", "list").out


def test_describe_shows_modalities_classes_and_split(run: Run, data_set: Path) -> None:
    facts = run("data", "describe", data_set, "--json").data
    assert (facts["windows"], facts["groups"]) == (48, 12)
    assert facts["split"] == {"train": 32, "val": 8, "test": 8}
    assert facts["classes"] == {f"class-{i}": 12 for i in range(4)}
    assert facts["modalities"][0]["length"] == 12
    words = run("data", "describe", data_set).out
    assert "train 32, val 8, test 8" in words
    assert "sensor_4" in words


def test_describe_shows_a_set_that_cannot_be_split(run: Run, tmp_path: Path) -> None:
    windows = labelled_windows(8)
    windows.arrays["sensor_0"][:, :3] = np.nan
    save_windows(windows, tmp_path / "two.npz")
    words = run("data", "describe", tmp_path / "two.npz").out
    assert "needs 3 groups or more" in words
    assert "25.0%" in words


def test_describe_refuses_what_is_no_data_set(failure: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_text("hello")
    assert "not an .npz file" in failure("data", "describe", tmp_path / "x.npz")
