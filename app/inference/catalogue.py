"""What is served now: models by name and version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.errors import UnknownModelError
from app.inference.model import ServedModel

_SHOWN = 64


class Catalogue:
    """Finds models by name and version.

    Lives on one event loop. A change replaces what is held in one step, and whoever found a model
    keeps it: a request runs to its end on the version that it began with.

    Args:
        models: Served from the beginning.
    """

    def __init__(self, models: Iterable[ServedModel] = ()) -> None:
        self._by_name: Mapping[str, tuple[ServedModel, ...]] = {}
        for model in models:
            self.put(model)

    def __iter__(self) -> Iterator[ServedModel]:
        """Every version of every model: names in order, each one's newest version first."""
        return (model for versions in self._by_name.values() for model in versions)

    def __contains__(self, name: object) -> bool:
        """Whether a model of this name is served."""
        return name in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        """Of every model, in order."""
        return tuple(self._by_name)

    def versions(self, name: str) -> tuple[ServedModel, ...]:
        """Return the versions of a model that are served, the newest first; none if unknown."""
        return self._by_name.get(name, ())

    def find(self, name: str, version: str | None = None) -> ServedModel:
        """Return a model.

        Args:
            name: Its name.
            version: Its version; None for the newest one that is ready.

        Raises:
            UnknownModelError: There is none; says what there is.
        """
        versions = self._by_name.get(name)
        if versions is None:
            served = list(self._by_name)
            raise UnknownModelError(
                f"no model {name[:_SHOWN]!r}; there is {', '.join(served) or 'none'}",
                models=served,
            )
        if version is None:
            return next((model for model in versions if model.warm), versions[0])
        for model in versions:
            if model.version == version:
                return model
        there = [model.version for model in versions]
        raise UnknownModelError(
            f"no version {version[:_SHOWN]!r} of model {name}; there is {', '.join(there)}",
            versions=there,
        )

    def put(self, model: ServedModel) -> ServedModel | None:
        """Serve a model from now on; return the one of its name and version that it replaces."""
        held = self._by_name.get(model.name, ())
        others = [other for other in held if other.version != model.version]
        versions = sorted([*others, model], key=lambda m: int(m.version), reverse=True)
        self._by_name = dict(sorted({**self._by_name, model.name: tuple(versions)}.items()))
        return next((old for old in held if old.version == model.version), None)

    def remove(self, model: ServedModel) -> None:
        """Serve this very model no more; nothing happens if another has taken its place."""
        left = tuple(other for other in self.versions(model.name) if other is not model)
        others = {name: held for name, held in self._by_name.items() if name != model.name}
        if left:
            others[model.name] = left
        self._by_name = dict(sorted(others.items()))
