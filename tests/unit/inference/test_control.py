"""Loading and unloading, on a real directory of tiny bundles."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread, current_thread
from typing import Any

import pytest

from app.errors import UnknownModelError, UnusableModelError
from app.inference import loader, profiles
from app.inference.registry import VariantRegistry
from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.presence import Presence
from sentryfuse.pruning import Mask
from sentryfuse.variants import Variant
from tests.repository import SPEC, Repository, play
from tests.scrapes import scraped

FULL = Presence.full(len(SPEC.modalities))


async def started(repository: Repository) -> Repository:
    repository.control.read()
    await repository.control.start()
    return repository


def test_the_newest_version_of_each_model_is_served_from_the_start(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        for name, version in (("a", "1"), ("a", "2"), ("b", "9"), ("b", "10")):
            r.store(name, version)
        assert r.control.read() == ("a", "b")
        assert [m.warm for m in r.models] == [False, False]
        assert (await r.states())["a", "2"] == ("LOADING", "")
        await r.control.start()
        assert r.served == {("a", "2"), ("b", "10")}
        assert (await r.states())["a", "2"] == ("READY", "")
        assert (await r.states())["a", "1"] == ("UNAVAILABLE", "not loaded")

    play(Repository(tmp_path), scenario)


def test_threads_that_measure_and_rehearse_end_and_their_heaps_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: set[Thread] = set()

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*what: Any, **how: Any) -> Any:
            used.add(current_thread())
            return work(*what, **how)

        return noted

    for module, name in ((profiles, "profile_host"), (loader, "rehearse")):
        monkeypatch.setattr(module, name, noting(getattr(module, name)))

    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        assert len(used) >= 2
        assert not any(thread.is_alive() for thread in used)

    play(Repository(tmp_path, abreast=2), scenario)


def test_several_versions_are_served_side_by_side_if_that_is_set(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        for version in ("1", "2", "3"):
            r.store("a", version, seed=int(version))
        await started(r)
        assert [m.version for m in r.models.versions("a")] == ["3", "2"]

    play(Repository(tmp_path, newest=2), scenario)


def test_only_the_chosen_models_are_served_from_the_start(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        r.store("b", "1")
        with pytest.raises(ConfigError, match="LOAD_MODELS: no model 'c'; there is a, b"):
            r.control.read(("c",))
        assert r.control.read(("b",)) == ("b",)
        assert r.served == {("b", "1")}

    play(Repository(tmp_path), scenario)


def test_a_bad_bundle_does_not_keep_good_ones_from_being_served(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        for name, version in (("bad", "1"), ("good", "1"), ("good", "2")):
            r.store(name, version)
        r.spoil("bad", "1")
        r.spoil("good", "2")
        await started(r)
        assert r.served == {("good", "1")}
        state, reason = (await r.states())["bad", "1"]
        assert state == "UNAVAILABLE"
        assert reason == "bad/1/weights.safetensors: damaged: its SHA-256 is not the manifest's"

    play(Repository(tmp_path), scenario)


def test_with_nothing_to_serve_the_start_fails_and_says_why(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("bad", "1")
        r.spoil("bad", "1")
        with pytest.raises(BundleError, match=r"none can be served: bad/1: .*damaged"):
            r.control.read()

    play(Repository(tmp_path), scenario)


def test_a_model_that_can_not_be_made_ready_is_not_served(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        r.control.read()
        r.loader.broken = True
        with pytest.raises(BundleError, match=r"none can be served: a/1: .*no memory left"):
            await r.control.start()
        assert not r.served

    play(Repository(tmp_path), scenario)


def test_a_newer_version_takes_the_place_of_the_old_one_once_it_is_ready(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.store("a", "2", seed=1)
        r.loader.held = asyncio.Event()
        load = asyncio.create_task(r.control.load("a"))
        while (await r.states())["a", "2"][0] != "LOADING":
            await asyncio.sleep(0.001)
        assert r.models.find("a").version == "1"
        r.loader.held.set()
        assert await load == ("2",)
        assert r.served == {("a", "2")}
        assert r.models.find("a").warm

    play(Repository(tmp_path), scenario)


def test_at_the_start_no_model_waits_for_requests_to_another(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        for name in ("a", "b", "c"):
            r.store(name, "1")
        await started(r)
        assert len(r.rests) == 12  # three models of two variants, each built and run
        assert set(r.rests) == {0.0}

    play(Repository(tmp_path), scenario)


def test_what_is_loaded_beside_requests_leaves_them_most_of_the_time(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        assert set(r.rests) == {0.0}
        r.rests.clear()
        r.store("a", "2", seed=1)
        await r.control.load("a")
        assert len(r.rests) == 4  # two variants, each built and run
        assert min(r.rests) > 0

    play(Repository(tmp_path), scenario)


def test_variants_are_built_abreast_until_something_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most = Counter[str](), Counter[str]()
    build, together = VariantRegistry._build_on_thread, Barrier(2)

    def watched(registry: VariantRegistry, mask: Mask) -> Variant:
        version = registry._owner.version
        at_once[version] += 1
        most[version] = max(most[version], at_once[version])
        if version == "1":
            together.wait(timeout=30.0)  # nobody comes out alone
        variant = build(registry, mask)
        at_once[version] -= 1
        return variant

    monkeypatch.setattr(VariantRegistry, "_build_on_thread", watched)

    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.store("a", "2", seed=1)
        await r.control.load("a")

    play(Repository(tmp_path, abreast=2), scenario)

    assert most == {"1": 2, "2": 1}


def test_a_bundle_that_cannot_run_is_refused_where_variants_are_built_abreast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise BundleError("answers no finite numbers")

    monkeypatch.setattr("app.inference.loader.rehearse", broken)

    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        r.control.read()
        with pytest.raises(BundleError, match="answers no finite numbers"):
            await r.control.start()

    play(Repository(tmp_path, abreast=2), scenario)


def test_new_bytes_under_an_old_version_are_served_once_loaded(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        digest = r.store("a", "1", seed=1)
        assert r.models.find("a").bundle.digest != digest
        await r.control.load("a")
        assert r.models.find("a").bundle.digest == digest

    play(Repository(tmp_path), scenario)


def test_loading_what_is_served_already_changes_nothing(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        before = r.models.find("a")
        assert await r.control.load("a") == ("1",)
        assert r.models.find("a") is before

    play(Repository(tmp_path), scenario)


def test_a_version_asked_for_by_number_stays_beside_newer_ones(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        for version in ("1", "2"):
            r.store("a", version)
        await started(r)
        assert await r.control.load("a", "1") == ("2", "1")
        r.store("a", "3")
        assert await r.control.load("a") == ("3", "1")
        assert await r.control.unload("a", "1") == ("3",)

    play(Repository(tmp_path), scenario)


@pytest.mark.parametrize("kind", ["spoilt", "unready"])
def test_what_is_bad_leaves_the_old_one_serving(tmp_path: Path, kind: str) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        old = r.models.find("a")
        r.store("a", "2", seed=2)
        if kind == "spoilt":
            r.spoil("a", "2")
        r.loader.broken = kind == "unready"
        with pytest.raises(UnusableModelError, match=r"version 2: .*; version 1 is served") as bad:
            await r.control.load("a")
        assert bad.value.facts["served"] == ["1"]
        assert r.models.find("a") is old
        assert (await r.states())["a", "2"][0] == "UNAVAILABLE"

    play(Repository(tmp_path), scenario)


def test_bad_bytes_under_the_served_version_are_told_beside_it(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.spoil("a", "1")
        with pytest.raises(UnusableModelError):
            await r.control.load("a")
        state, reason = (await r.states())["a", "1"]
        assert state == "READY"
        assert "damaged" in reason
        r.store("a", "1")
        await r.control.load("a")
        assert (await r.states())["a", "1"] == ("READY", "")

    play(Repository(tmp_path), scenario)


def test_a_bad_new_version_does_not_bring_back_one_older_than_what_is_served(
    tmp_path: Path,
) -> None:
    async def scenario(r: Repository) -> None:
        for version in ("1", "2"):
            r.store("a", version)
        await started(r)
        r.remove("a", "2")
        r.store("a", "3")
        r.spoil("a", "3")
        with pytest.raises(UnusableModelError):
            await r.control.load("a")
        assert r.served == {("a", "2")}

    play(Repository(tmp_path), scenario)


def test_a_load_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.store("a", "2", seed=2)
        r.loader.held = asyncio.Event()
        with pytest.raises(UnusableModelError, match=r"it was not ready after 0\.2 s"):
            await r.control.load("a")
        assert r.served == {("a", "1")}

    play(Repository(tmp_path, deadline_s=0.2), scenario)


def test_what_is_unloaded_is_found_no_more_and_can_come_back(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        r.store("b", "1")
        await started(r)
        assert await r.control.unload("a") == ()
        with pytest.raises(UnknownModelError, match="no model 'a'; there is b"):
            r.models.find("a")
        assert (await r.states())["a", "1"] == ("UNAVAILABLE", "unloaded")
        assert await r.control.load("a") == ("1",)

    play(Repository(tmp_path), scenario)


@pytest.mark.parametrize("name", ["c", "", "..", "../models/a", "a/1", "/etc/passwd", "a\x00"])
def test_only_what_is_stored_can_be_loaded_or_unloaded(tmp_path: Path, name: str) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        reads = r.loader.read_so_far
        for ask in (r.control.load, r.control.unload):
            with pytest.raises(UnknownModelError, match="is stored; there is a"):
                await ask(name)
            with pytest.raises(UnknownModelError, match="of model a is stored; there is 1"):
                await ask("a", name)
        assert r.loader.read_so_far == reads

    play(Repository(tmp_path), scenario)


def test_unloading_what_is_stored_but_not_served_is_no_error(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        r.store("a", "2")
        await started(r)
        assert await r.control.unload("a", "1") == ("2",)

    play(Repository(tmp_path), scenario)


def test_loads_asked_for_while_one_waits_are_one_load(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        before = r.loader.read_so_far
        await asyncio.gather(*(r.control.carry_out("load", "a", None) for _ in range(20)))
        # One has begun before the others ask; they share the next.
        assert 1 <= r.loader.read_so_far - before <= 2

    play(Repository(tmp_path), scenario)


def test_who_asks_while_a_load_runs_gets_what_is_stored_then(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.store("a", "1", seed=1)
        r.loader.held = asyncio.Event()
        first = asyncio.create_task(r.control.load("a"))
        while r.loader.to_warm < 2:
            await asyncio.sleep(0.001)
        digest = r.store("a", "1", seed=2)
        second = asyncio.create_task(r.control.load("a"))
        await asyncio.sleep(0.01)
        r.loader.held.set()
        await asyncio.gather(first, second)
        assert r.models.find("a").bundle.digest == digest

    play(Repository(tmp_path), scenario)


def test_a_caller_who_gives_up_does_not_stop_a_load(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        r.store("a", "2", seed=2)
        r.loader.held = asyncio.Event()
        load = asyncio.create_task(r.control.load("a"))
        while (await r.states())["a", "2"][0] != "LOADING":
            await asyncio.sleep(0.001)
        load.cancel()
        r.loader.held.set()
        async with asyncio.timeout(30):
            while r.served == {("a", "1")}:
                await asyncio.sleep(0.001)
        assert r.served == {("a", "2")}

    play(Repository(tmp_path), scenario)


def test_metrics_name_what_is_served_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        digest = r.store("a", "1", seed=1)
        await r.control.load("a")
        labels = [dict(labels) for _, labels in scraped(r.metrics.render()) if labels]
        assert {d["digest"] for d in labels if "digest" in d} == {digest}
        assert {d["version"] for d in labels if "ratio" in d} == {"1"}
        await r.control.unload("a")
        assert not any("version" in dict(labels) for _, labels in scraped(r.metrics.render()))

    play(Repository(tmp_path), scenario)


def test_a_model_leaves_memory_with_the_last_request_that_holds_it(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        gc.collect()
        gc.freeze()  # as the service does: from now on only references count
        gc.disable()
        try:
            held = r.models.find("a")
            lineup = await held.lineup(FULL)
            variants = [weakref.ref(resident.variant) for resident in held.registry]
            builder = weakref.ref(held.builder)
            await r.control.unload("a")
            assert (await r.states())["a", "1"] == ("UNLOADING", "unloaded")
            assert lineup.residents.keys() == {0, 900}
            del held, lineup
            await asyncio.sleep(0.01)
            assert builder() is None
            assert [variant() for variant in variants] == [None, None]
            assert (await r.states())["a", "1"] == ("UNAVAILABLE", "unloaded")
        finally:
            gc.enable()
            gc.unfreeze()

    play(Repository(tmp_path), scenario)


def test_who_holds_a_model_for_too_long_is_served_by_variants_built_anew(tmp_path: Path) -> None:
    async def scenario(r: Repository) -> None:
        r.store("a", "1")
        await started(r)
        held = r.models.find("a")
        await r.control.unload("a")
        variants = [weakref.ref(resident.variant) for resident in held.registry]
        while len(held.registry):
            await asyncio.sleep(0.01)
        gc.collect()
        assert [variant() for variant in variants] == [None, None]
        await held.registry.get(FULL, 900)
        assert (await held.lineup(FULL)).residents.keys() == {900}

    play(Repository(tmp_path, departure_s=0.05), scenario)
