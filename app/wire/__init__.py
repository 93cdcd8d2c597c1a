"""HTTP on the wire: uvicorn's protocol, with bounds on what a connection may do."""

from __future__ import annotations

from app.wire.descriptors import make_room
from app.wire.opening import open_wire

__all__ = ["make_room", "open_wire"]
