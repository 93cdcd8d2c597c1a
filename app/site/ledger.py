"""The ledger of a site: what each node needs and was lent, as all of them read and write it.

Power is in whole milliwatts, so that sums are exact whoever makes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

_FORM = 1
_MOST_MW = 10**12


class NewerLedgerError(ValueError):
    """A newer release wrote this ledger: it must be left to those who understand it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one process says of its node, and what it was lent."""

    node: str
    cap_mw: int
    """Of the site, as this node knows it."""
    guaranteed_mw: int
    """Of all nodes of the site together, as this node knows it."""
    share_mw: int
    """Guaranteed to this node."""
    idle_mw: int
    demand_mw: int
    """Power that it would draw if nothing held it back, idle power included."""
    lent_mw: int
    """Above its share."""
    renewed: int
    """Version of the ledger that the process wrote last: it changes while the process lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All entries, by process. Every change is a new version."""

    epoch: str
    """Another one after everything was forgotten."""
    server: str
    """Run of the store that keeps it: another one has an old copy at best."""
    version: int
    entries: Mapping[str, Entry]

    def with_entry(self, process: str, entry: Entry, *, without: frozenset[str]) -> Ledger:
        """The next version: one entry written, others struck out."""
        kept = {name: held for name, held in self.entries.items() if name not in without}
        version = self.version + 1
        entries = {**kept, process: replace(entry, renewed=version)}
        return replace(self, version=version, entries=entries)

    def struck_out(self, process: str) -> Ledger:
        """The next version, without one process."""
        kept = {name: held for name, held in self.entries.items() if name != process}
        return replace(self, version=self.version + 1, entries=kept)

    def to_bytes(self) -> bytes:
        """The ledger as :func:`read_ledger` reads it."""
        content = {
            "form": _FORM,
            "epoch": self.epoch,
            "server": self.server,
            "version": self.version,
            "entries": {name: asdict(entry) for name, entry in self.entries.items()},
        }
        return json.dumps(content, separators=(",", ":")).encode()


def read_ledger(value: bytes | None) -> Ledger | None:
    """Read what is stored; None where there is nothing, or nothing whole.

    Raises:
        NewerLedgerError: A newer release wrote it.
    """
    if value is None:
        return None
    try:
        content = json.loads(value)
        form = content["form"]
        if isinstance(form, int) and form > _FORM:
            raise NewerLedgerError(f"the site's ledger must be of form {_FORM}, got {form}")
        return Ledger(
            epoch=_text(content["epoch"]),
            server=_text(content["server"]),
            version=_count(content["version"]),
            entries={_text(name): _entry(data) for name, data in content["entries"].items()},
        )
    except NewerLedgerError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _entry(data: Mapping[str, object]) -> Entry:
    node = _text(data["node"])
    counts = {name: _count(value) for name, value in data.items() if name != "node"}
    return Entry(node=node, **counts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_MW:
        raise ValueError("no count")
    return value
