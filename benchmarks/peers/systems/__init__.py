"""Every system under test."""

from __future__ import annotations

from benchmarks.peers.peer import Peer
from benchmarks.peers.systems.bentoml import PEER as BENTOML
from benchmarks.peers.systems.fastapi import PEER as FASTAPI
from benchmarks.peers.systems.kserve import PEER as KSERVE
from benchmarks.peers.systems.litserve import PEER as LITSERVE
from benchmarks.peers.systems.mlserver import PEER as MLSERVER
from benchmarks.peers.systems.ours import OURS, OURS_FREE, OURS_FRUGAL, OURS_JSON
from benchmarks.peers.systems.rayserve import PEER as RAYSERVE
from benchmarks.peers.systems.triton import PEER as TRITON

SYSTEMS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        OURS,
        OURS_JSON,
        OURS_FREE,
        OURS_FRUGAL,
        TRITON,
        KSERVE,
        MLSERVER,
        LITSERVE,
        BENTOML,
        RAYSERVE,
        FASTAPI,
    )
}

__all__ = ["OURS", "OURS_FREE", "OURS_FRUGAL", "OURS_JSON", "SYSTEMS"]
