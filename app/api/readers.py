"""What reads the windows of each model, made once for each as it comes and gone with it."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from app.api.payload import WindowReader
from app.inference.model import ServedModel


class WindowReaders:
    """A :class:`WindowReader` for each model that is served.

    Args:
        max_batch: Most windows in one request.
    """

    def __init__(self, *, max_batch: int) -> None:
        self.max_batch = max_batch
        self._readers: WeakKeyDictionary[ServedModel, WindowReader] = WeakKeyDictionary()

    def of(self, model: ServedModel) -> WindowReader:
        """Return the reader of a model."""
        reader = self._readers.get(model)
        if reader is None:
            reader = self._readers[model] = WindowReader(model.spec, max_batch=self.max_batch)
        return reader
