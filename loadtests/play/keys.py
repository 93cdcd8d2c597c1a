"""Tables of a TOML file read into frozen dataclasses; a key that is unknown is an error."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any, TypeVar

from sentryfuse.errors import ConfigError

Made = TypeVar("Made")
Read = Callable[[object], object]
"""Makes a value of what TOML has; raises ``ValueError`` with what is allowed."""

_ABOUT, _READ = "about", "read"


def key(about: str, read: Read, **default: Any) -> Any:
    """A field that a file may set.

    Args:
        about: What it means, for people.
        read: Makes its value.
        default: ``default`` or ``default_factory``, as for a dataclass field; none if it must
            be there.
    """
    return field(metadata={_ABOUT: about, _READ: read}, **default)


def read_table(kind: type[Made], content: object, where: str) -> Made:
    """Make a dataclass of a table.

    Args:
        kind: A dataclass whose fields are all made by :func:`key`.
        content: What TOML has.
        where: How the table is called, for messages.

    Raises:
        ConfigError: A key is unknown or missing, or its value makes no sense.
    """
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where} must be a table, got {content!r}")
    known = _fields(kind)
    check_names(content, known, where)
    values = {}
    for name, found in known.items():
        if name in content:
            values[name] = _value(found, content[name], f"{name} in {where}")
        elif found.default is MISSING and found.default_factory is MISSING:
            raise ConfigError(f"{where} needs {name}: {found.metadata[_ABOUT]}")
    return kind(**values)


def check_names(given: Iterable[str], allowed: Iterable[str], where: str) -> None:
    """Say which keys are allowed where one is unknown.

    Raises:
        ConfigError: One is unknown.
    """
    listed = sorted(allowed)
    for name in given:
        if name not in listed:
            close = difflib.get_close_matches(name, listed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(
                f"unknown key {name!r} in {where}{hint}; allowed: {', '.join(listed)}"
            )


def explain(kind: type[Any]) -> list[tuple[str, str]]:
    """Names and meanings of the keys that a table may have; those that it must have say so."""
    return [
        (
            name,
            found.metadata[_ABOUT]
            + (
                " (must be there)"
                if found.default is MISSING and found.default_factory is MISSING
                else ""
            ),
        )
        for name, found in _fields(kind).items()
    ]


def _fields(kind: type[Any]) -> dict[str, Field[Any]]:
    return {found.name: found for found in fields(kind) if _READ in found.metadata}


def _value(found: Field[Any], given: object, where: str) -> object:
    try:
        return found.metadata[_READ](given)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{where} must be {error}, got {given!r}") from error


def table(kind: type[Any], where: str) -> Read:
    """Read a table into a dataclass."""
    return lambda given: read_table(kind, given, where)


def rows(kind: type[Any], where: str) -> Read:
    """Read a list of tables into as many dataclasses."""

    def read(given: object) -> tuple[Any, ...]:
        if not isinstance(given, list):
            raise ValueError(f"a list of tables {where}")
        return tuple(read_table(kind, row, where) for row in given)

    return read


def positive(given: object) -> float:
    """Read a number above zero."""
    return _number(given, least=0.0, above=True, what="a number above 0")


def at_least_zero(given: object) -> float:
    """Read a number of 0 or above."""
    return _number(given, least=0.0, above=False, what="a number of 0 or above")


def whole(least: int) -> Read:
    """Read a whole number of at least so much."""

    def read(given: object) -> int:
        if not isinstance(given, int) or isinstance(given, bool) or given < least:
            raise ValueError(f"a whole number of at least {least}")
        return given

    return read


def truth(given: object) -> bool:
    """Read true or false."""
    if not isinstance(given, bool):
        raise ValueError("true or false")
    return given


def text(given: object) -> str:
    """Read a text."""
    if not isinstance(given, str) or not given:
        raise ValueError("a text")
    return given


def one_of(*allowed: str) -> Read:
    """Read one of a few words."""

    def read(given: object) -> str:
        if given not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(given)

    return read


def steps(given: object) -> tuple[tuple[float, float], ...]:
    """Read ``[[at_s, value], ...]``: a value holds until the next one, and times ascend from 0."""
    wrong = "a list of [at_s, value], times ascending from 0, values above 0"
    if not isinstance(given, list) or not given:
        raise ValueError(wrong)
    found = []
    for step in given:
        if not isinstance(step, list) or len(step) != 2:
            raise ValueError(wrong)
        try:
            found.append((at_least_zero(step[0]), positive(step[1])))
        except ValueError as error:
            raise ValueError(wrong) from error
    times_s = [at_s for at_s, _ in found]
    if times_s[0] != 0 or sorted(set(times_s)) != times_s:
        raise ValueError(wrong)
    return tuple(found)


def _number(given: object, *, least: float, above: bool, what: str) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not math.isfinite(given):  # type: ignore[arg-type]
        raise ValueError(what)
    value = float(given)  # type: ignore[arg-type]
    if value < least or (above and value == least):
        raise ValueError(what)
    return value
