"""A reader belongs to its model and goes with it."""

from __future__ import annotations

import gc
import weakref

from app.api.readers import WindowReaders
from tests.served import served_model


def test_two_models_of_one_name_have_readers_of_their_own() -> None:
    readers, old, new = WindowReaders(max_batch=4), served_model(), served_model()

    assert readers.of(old) is readers.of(old)
    assert readers.of(old) is not readers.of(new)


def test_a_reader_goes_with_its_model() -> None:
    readers, model = WindowReaders(max_batch=4), served_model()
    reader = weakref.ref(readers.of(model))

    del model
    gc.collect()

    assert reader() is None
