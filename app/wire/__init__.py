"""HTTP on the wire: uvicorn's protocol, with bounds on what a connection may do."""

from __future__ import annotations

from app.wire.descriptors import make_room
from app.wire.limits import ConnectionLimits
from app.wire.protocol import bounded_protocol
from app.wire.watch import ConnectionWatch

__all__ = ["ConnectionLimits", "ConnectionWatch", "bounded_protocol", "make_room"]
