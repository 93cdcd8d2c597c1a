"""Which of the stored models are served: loaded and unloaded while requests run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from app.errors import UnusableModelError
from app.inference.catalogue import Catalogue
from app.inference.departures import Departures
from app.inference.loader import Loader
from app.inference.model import ServedModel
from app.inference.repository import Shelf, Stored, find_models, pick
from app.inference.states import VersionState, state_of
from app.inference.turns import Turns
from app.telemetry.metrics import Metrics
from sentryfuse.errors import BundleError, ConfigError, SentryFuseError

logger = logging.getLogger(__name__)

_LOAD_DEADLINE_S = 300.0
_Identity = tuple[str, str]
Change = Literal["load", "unload"]


class ModelControl:
    """Loads and unloads models, one after the other. Lives on one event loop.

    Args:
        root: Directory of bundles.
        catalogue: What is served; changed here and nowhere else.
        loader: Makes models ready.
        departures: Sees off those that are served no more.
        metrics: Counts loads.
        newest: How many of the newest versions of a model are served.
        deadline_s: What takes longer to load is given up.
    """

    def __init__(
        self,
        root: Path,
        catalogue: Catalogue,
        loader: Loader,
        departures: Departures,
        metrics: Metrics,
        *,
        newest: int,
        deadline_s: float = _LOAD_DEADLINE_S,
    ) -> None:
        self._root = root
        self._catalogue = catalogue
        self._loader = loader
        self._departures = departures
        self._metrics = metrics
        self._newest = newest
        self._deadline_s = deadline_s
        self.changed: Callable[[Change, str, str | None], None] = lambda *_: None
        """Told of every load and unload that was asked for here."""
        self._turns = Turns()
        self._chosen: set[_Identity] = set()
        """Asked for by number: a newer version does not displace these."""
        self._reasons: dict[_Identity, str] = {}
        """Why what is stored is not served."""
        self._loading: _Identity | None = None

    def read(self, names: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Read what is served from the start; nothing is ready yet.

        Args:
            names: Models to serve; all that are stored if there is none.

        Returns:
            Names of the models that are to be served, whether they can be or not.

        Raises:
            ConfigError: No such model is stored.
            BundleError: None of them can be served.
        """
        shelf = find_models(self._root)
        for name in names:
            if name not in shelf:
                raise ConfigError(
                    f"SENTRYFUSE_LOAD_MODELS: no model {name!r}; there is {', '.join(shelf)}"
                )
        wanted = tuple(name for name in shelf if not names or name in names)
        for name in wanted:
            for stored in shelf[name]:
                if len(self._versions(name)) == self._newest:
                    break
                try:
                    self._serve(self._loader.read(stored))
                except SentryFuseError as error:
                    self._failed((name, stored.version), error)
        self._check_some_are_served()
        return wanted

    async def start(self) -> None:
        """Make ready what was read.

        Raises:
            BundleError: None of it can be served.
        """
        await self._turns.take("start", self._start)

    async def load(self, name: str, version: str | None = None) -> tuple[str, ...]:
        """Serve what is stored now under a name: a new model, a newer version, or new bytes.

        It is read, verified and made ready beside what is served, and takes its place only then.

        Args:
            name: Of the model.
            version: One version, beside those served; None for the newest ones, which take the
                place of older ones unless those were asked for by number.

        Returns:
            The versions served now, the newest first.

        Raises:
            UnknownModelError: Nothing is stored under it.
            UnusableModelError: What is stored can't be served; says why, and what still is.
        """
        pick(await self._shelf(), name, version)
        await self.carry_out("load", name, version)
        self.changed("load", name, version)
        return self._versions(name)

    async def unload(self, name: str, version: str | None = None) -> tuple[str, ...]:
        """Serve a model no more, or one version of it; requests that have it are finished.

        Returns:
            The versions served now, the newest first.

        Raises:
            UnknownModelError: It is neither served nor stored.
        """
        if not self._served(name, version):
            pick(await self._shelf(), name, version)
        await self.carry_out("unload", name, version)
        self.changed("unload", name, version)
        return self._versions(name)

    async def carry_out(self, what: Change, name: str, version: str | None) -> None:
        """Load or unload as another process of the service did; tells nobody.

        Raises:
            UnknownModelError: Nothing is stored under the name.
            UnusableModelError: What is stored can't be served.
        """
        change = partial(self._load if what == "load" else self._unload, name, version)
        await self._turns.take((what, name, version), change)

    async def index(self) -> tuple[VersionState, ...]:
        """List every version that is stored or served: names in order, newest versions first."""
        shelf = await self._shelf()
        identities = {(one.name, one.version) for stored in shelf.values() for one in stored}
        identities |= {(model.name, model.version) for model in self._catalogue}
        self._reasons = {i: reason for i, reason in self._reasons.items() if i in identities}
        ordered = sorted(identities, key=lambda i: (i[0], -int(i[1]), i[1]))
        return tuple(self._state(*identity) for identity in ordered)

    async def close(self) -> None:
        """Give up what is being loaded."""
        await self._turns.close()
        await self._departures.close()

    async def _start(self) -> None:
        for model in self._catalogue:
            try:
                await self._loader.make_ready(model, beside=self._catalogue, starting=True)
            except Exception as error:
                self._failed((model.name, model.version), error)
                self._dismiss(model)
        self._check_some_are_served()

    async def _load(self, name: str, version: str | None) -> None:
        # Only now is the directory read: who waited for this may have changed it meanwhile.
        stored = pick(await self._shelf(), name, version)
        wanted = 1 if version is not None else self._newest
        kept: set[str] = set()
        failures: dict[str, str] = {}
        for one in stored:
            if len(kept) == wanted:
                break
            if failures and self._versions(name) and not self._served(name, one.version):
                continue  # better what is served than an older version that is not
            try:
                await self._refresh(one)
                kept.add(one.version)
            except Exception as error:
                failures[one.version] = self._failed((name, one.version), error)
        if failures:
            raise self._unusable(name, failures)
        if version is not None:
            self._chosen.add((name, version))
            return
        for model in self._catalogue.versions(name):
            if model.version not in kept and (name, model.version) not in self._chosen:
                self._dismiss(model)

    async def _refresh(self, stored: Stored) -> None:
        """Serve what is stored, unless that is what is served already."""
        identity = self._loading = (stored.name, stored.version)
        try:
            async with asyncio.timeout(self._deadline_s):
                model = await asyncio.to_thread(self._loader.read, stored)
                digest = model.bundle.digest
                if any(served.bundle.digest == digest for served in self._served(*identity)):
                    self._metrics.model_loads.labels("unchanged").inc()
                else:
                    await self._loader.make_ready(model, beside=self._catalogue)
                    self._serve(model)
                    self._metrics.model_loads.labels("served").inc()
                    logger.info("serving %s version %s, bundle %s", *identity, digest)
        finally:
            self._loading = None
        self._reasons.pop(identity, None)

    async def _unload(self, name: str, version: str | None) -> None:
        for model in self._served(name, version):
            self._dismiss(model)
            self._reasons[name, model.version] = "unloaded"
            logger.info("unloaded %s version %s", name, model.version)

    def _serve(self, model: ServedModel) -> None:
        """Let a model answer from this moment on, in the place of its predecessor."""
        replaced = self._catalogue.put(model)
        if replaced is not None:
            self._departures.add(replaced)
        model.registry.show()

    def _dismiss(self, model: ServedModel) -> None:
        self._catalogue.remove(model)
        self._chosen.discard((model.name, model.version))
        self._departures.add(model)

    def _failed(self, identity: _Identity, error: Exception) -> str:
        """Remember and say why something can't be served."""
        if isinstance(error, TimeoutError):
            reason = f"it was not ready after {self._deadline_s:g} s"
        elif isinstance(error, SentryFuseError):
            reason = str(error).replace(f"{self._root}/", "")
        else:
            reason = f"{type(error).__name__}: {error}"
            logger.exception("a fault of ours, or a bundle that passed every check")
        self._reasons[identity] = reason
        self._metrics.model_loads.labels("failed").inc()
        logger.error("%s version %s can't be served: %s", *identity, reason)
        return reason

    def _unusable(self, name: str, failures: dict[str, str]) -> UnusableModelError:
        served = self._versions(name)
        why = "; ".join(f"version {version}: {reason}" for version, reason in failures.items())
        still = f"version {', '.join(served)} is served" if served else "no version is served"
        return UnusableModelError(
            f"model {name} can't be loaded ({why}); {still}",
            model=name,
            reasons=failures,
            served=list(served),
        )

    def _state(self, name: str, version: str) -> VersionState:
        identity = (name, version)
        return state_of(
            identity,
            served=next(iter(self._served(name, version)), None),
            loading=self._loading == identity,
            leaving=identity in self._departures,
            reason=self._reasons.get(identity, ""),
        )

    def _served(self, name: str, version: str | None) -> tuple[ServedModel, ...]:
        return tuple(
            model for model in self._catalogue.versions(name) if version in (None, model.version)
        )

    def _versions(self, name: str) -> tuple[str, ...]:
        return tuple(model.version for model in self._catalogue.versions(name))

    def _check_some_are_served(self) -> None:
        if not self._catalogue.names:
            reasons = (f"{name}/{v}: {reason}" for (name, v), reason in self._reasons.items())
            raise BundleError(f"SENTRYFUSE_MODELS: none can be served: {'; '.join(reasons)}")

    async def _shelf(self) -> Shelf:
        """What is stored now; nothing if the directory can't be read."""
        try:
            return await asyncio.to_thread(find_models, self._root)
        except (BundleError, OSError) as error:
            logger.warning("the models can't be listed: %s", error)
            return {}
