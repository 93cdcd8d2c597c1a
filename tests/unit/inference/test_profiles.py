from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.inference import profiles
from app.inference.profiles import HostProfiles
from app.storage import SharedProfiles
from sentryfuse.variants import HostProfile, VariantBuilder
from tests.bundles import random_bundle, small_spec

BUILDER = VariantBuilder(random_bundle(small_spec(((4, 2), (3, 1)))))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Ratios that were really measured, in the order in which it was done."""
    calls: list[tuple[int, ...]] = []
    measure = profiles.profile_host

    def counted(
        builder: VariantBuilder, *, permilles: tuple[int, ...], enough_s: float
    ) -> HostProfile:
        calls.append(permilles)
        return measure(builder, permilles=permilles, batches=(1, 2), repeats=2, enough_s=enough_s)

    monkeypatch.setattr(profiles, "profile_host", counted)
    return calls


LADDER = (0, 250, 500, 650, 900)


def obtain(
    folder: Path,
    *,
    permilles: tuple[int, ...] = LADDER,
    like: HostProfile | None = None,
    idle: bool = True,
) -> HostProfile:
    async def play() -> HostProfile:
        with ThreadPoolExecutor(max_workers=1) as threads:
            store = HostProfiles(folder, SharedProfiles(None))
            return await store.obtain(BUILDER, permilles, threads, like=like, idle=idle)

    return asyncio.run(play())


def test_a_host_is_measured_once(tmp_path: Path, measured: list[tuple[int, ...]]) -> None:
    first = obtain(tmp_path / "new")
    assert obtain(tmp_path / "new") == first
    assert measured == [(0, 500, 900)]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"samples": []}', "\udcff"])
def test_a_damaged_profile_is_measured_anew_and_replaced(
    tmp_path: Path, measured: list[tuple[int, ...]], damage: str
) -> None:
    obtain(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage.encode(errors="surrogateescape"))
    again = obtain(tmp_path)
    assert len(measured) == 2
    assert obtain(tmp_path) == again


def test_a_profile_of_another_host_is_not_believed(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    obtain(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "x'))
    obtain(tmp_path)
    assert len(measured) == 2


def test_a_directory_that_cannot_be_written_costs_only_the_measuring(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    (tmp_path / "file").write_text("in the way")
    obtain(tmp_path / "file")
    obtain(tmp_path / "file")
    assert len(measured) == 2


def test_the_profile_of_a_model_of_the_same_shape_spares_measuring(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    like = obtain(tmp_path / "twin")
    assert obtain(tmp_path / "new", like=like) == like
    assert len(measured) == 1


def test_what_was_measured_beside_requests_is_measured_again_at_the_next_start(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    obtain(tmp_path / "new", idle=False)
    obtain(tmp_path / "new")
    obtain(tmp_path / "new", idle=False)
    assert len(measured) == 2


def test_a_profile_that_spans_the_ladder_is_enough(
    tmp_path: Path, measured: list[tuple[int, ...]]
) -> None:
    obtain(tmp_path)
    obtain(tmp_path, permilles=(250, 650))
    assert len(measured) == 1


@pytest.mark.parametrize("first", [(0,), (0, 250), (900,), (500,)])
def test_a_profile_of_other_ratios_is_completed_and_kept(
    tmp_path: Path, measured: list[tuple[int, ...]], first: tuple[int, ...]
) -> None:
    before = obtain(tmp_path, permilles=first)
    after = obtain(tmp_path)
    assert measured[1:] == [tuple(p for p in (0, 500, 900) if p not in first)]
    assert after.samples[: len(before.samples)] == before.samples
    assert obtain(tmp_path) == after
    assert obtain(tmp_path, permilles=first) == after
    assert len(measured) == 2
