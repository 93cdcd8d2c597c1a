"""Models by name and version."""

from __future__ import annotations

import pytest

from app.errors import UnknownModelError
from app.inference.catalogue import Catalogue
from app.inference.model import ServedModel
from tests.served import served_model


def model(name: str, version: str, *, warm: bool = True) -> ServedModel:
    made = served_model(name, version)
    made.warm = warm
    return made


def test_without_a_version_the_newest_by_number_answers() -> None:
    catalogue = Catalogue([model("gait", "9"), model("gait", "10"), model("gait", "2")])

    assert catalogue.find("gait").version == "10"
    assert [m.version for m in catalogue.versions("gait")] == ["10", "9", "2"]


def test_a_version_that_is_not_ready_is_found_only_by_its_number() -> None:
    catalogue = Catalogue([model("gait", "1"), model("gait", "2", warm=False)])

    assert catalogue.find("gait").version == "1"
    assert catalogue.find("gait", "2").version == "2"


def test_if_none_is_ready_the_newest_is_found() -> None:
    catalogue = Catalogue([model("gait", "1", warm=False), model("gait", "2", warm=False)])

    assert catalogue.find("gait").version == "2"


def test_an_unknown_model_is_told_what_there_is() -> None:
    catalogue = Catalogue([model("b", "1"), model("a", "1")])

    with pytest.raises(UnknownModelError, match="no model 'c'; there is a, b") as caught:
        catalogue.find("c")
    assert caught.value.facts == {"models": ["a", "b"]}


def test_an_unknown_version_is_told_which_there_are() -> None:
    catalogue = Catalogue([model("a", "1"), model("a", "3")])

    with pytest.raises(UnknownModelError, match="no version '2' of model a; there is 3, 1"):
        catalogue.find("a", "2")


def test_a_model_takes_the_place_of_its_own_version_only() -> None:
    old, other, new = model("a", "1"), model("a", "2"), model("a", "1")
    catalogue = Catalogue([old, other])

    assert catalogue.put(new) is old
    assert catalogue.find("a", "1") is new
    assert catalogue.find("a", "2") is other


def test_removing_what_was_replaced_leaves_its_successor() -> None:
    old, new = model("a", "1"), model("a", "1")
    catalogue = Catalogue([old])
    catalogue.put(new)

    catalogue.remove(old)

    assert list(catalogue) == [new]


def test_with_its_last_version_a_name_is_gone() -> None:
    only = model("a", "1")
    catalogue = Catalogue([only, model("b", "1")])

    catalogue.remove(only)

    assert "a" not in catalogue
    assert catalogue.names == ("b",)


def test_who_goes_through_all_models_is_not_disturbed_by_a_change() -> None:
    first, second = model("a", "1"), model("b", "1")
    catalogue = Catalogue([first, second])

    walk = iter(catalogue)
    assert next(walk) is first
    catalogue.remove(second)

    assert list(walk) == [second]
