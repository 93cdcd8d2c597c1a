"""Who should get how much of what is left of the site's cap: in proportion to demand."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.site.ledger import Entry

_BAND = 50  # a change smaller than this part of the pool is not worth making


def pool_mw(entries: Mapping[str, Entry], silent: Collection[str]) -> int:
    """What may be lent: the cap without all that is guaranteed.

    Where nodes were told different things the smallest cap counts, and the largest sum of
    guarantees, be it declared or counted.

    Args:
        entries: All that are not expired.
        silent: Those of them that have not been heard of lately. Where another process of the same
            node is heard of, it has taken their place, and the node's share counts once.
    """
    if not entries:
        return 0
    heard = {entry.node for name, entry in entries.items() if name not in silent}
    shares_mw = sum(e.share_mw for name, e in entries.items() if name not in silent)
    gone: dict[str, int] = {}
    for name in silent:
        if name in entries and entries[name].node not in heard:
            entry = entries[name]
            gone[entry.node] = max(gone.get(entry.node, 0), entry.share_mw)
    guaranteed_mw = max(
        *(e.guaranteed_mw for e in entries.values()), shares_mw + sum(gone.values())
    )
    return max(min(e.cap_mw for e in entries.values()) - guaranteed_mw, 0)


def due_mw(entries: Mapping[str, Entry], pool_mw: int) -> dict[str, int]:
    """What each should be lent, the sum at most the pool.

    If the pool has enough for every demand, each gets what it lacks. Else all get the same part
    of their active power (demand - idle), except for those whose guaranteed share is more than
    that already: they get nothing on top.
    """
    want = {name: max(e.demand_mw - max(e.share_mw, e.idle_mw), 0) for name, e in entries.items()}
    if sum(want.values()) <= pool_mw:
        return want
    part = _common_part([e for name, e in entries.items() if want[name]], pool_mw)
    return {
        name: max(int(part * _active_mw(entry)) - _own_mw(entry), 0) if want[name] else 0
        for name, entry in entries.items()
    }


def next_lent_mw(*, held_mw: int, due_mw: int, free_mw: int, pool_mw: int, may_grow: bool) -> int:
    """What a node goes over to now: towards its due, but not for every trifle.

    Args:
        held_mw: What it was lent so far.
        due_mw: What it should be lent.
        free_mw: What nobody was lent; negative if too much is out.
        pool_mw: What there is to be lent.
        may_grow: Whether more than it holds may be lent at present.
    """
    band_mw = pool_mw // _BAND
    if due_mw < held_mw:
        worth_it = held_mw - due_mw > band_mw or free_mw < 0 or due_mw == 0
        return due_mw if worth_it else held_mw
    if may_grow and due_mw - held_mw > band_mw:
        return min(due_mw, held_mw + max(free_mw, 0))
    return held_mw


def _common_part(entries: Collection[Entry], pool_mw: int) -> float:
    """The part of its active power that each gets, own share included, when the pool is empty.

    Solves sum(max(part x active - own, 0)) = pool: the sum grows with the part, and bends where
    another node's own share no longer covers its part.
    """
    ascending = sorted(entries, key=lambda e: _own_mw(e) / _active_mw(e))
    active_mw = own_mw = 0
    part = 0.0
    for entry in ascending:
        if active_mw and part <= _own_mw(entry) / _active_mw(entry):
            break
        active_mw += _active_mw(entry)
        own_mw += _own_mw(entry)
        part = (pool_mw + own_mw) / active_mw
    return part


def _active_mw(entry: Entry) -> int:
    return max(entry.demand_mw - entry.idle_mw, 0)


def _own_mw(entry: Entry) -> int:
    """What its share leaves above idle."""
    return max(entry.share_mw - entry.idle_mw, 0)
