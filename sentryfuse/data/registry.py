"""Public data sets that can be fetched and converted to the window format.

To add one: write a module with a :class:`Source` (see ``dsads.py``) and list it in
:data:`SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sentryfuse.data.dsads import DSADS
from sentryfuse.data.source import Source
from sentryfuse.errors import ConfigError

SOURCES: Mapping[str, Source] = MappingProxyType({source.name: source for source in (DSADS,)})


def find_source(name: str) -> Source:
    """Return the data set of this name.

    Raises:
        ConfigError: There is none; the message lists those there are.
    """
    try:
        return SOURCES[name]
    except KeyError:
        raise ConfigError(f"unknown data set {name!r}; there are {sorted(SOURCES)}") from None
