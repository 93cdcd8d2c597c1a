"""What several processes of one service tell each other, and how each keeps in step."""

from __future__ import annotations

from app.peers.crew import Crew, Place, Voice
from app.peers.rundir import RunDir

__all__ = ["Crew", "Place", "RunDir", "Voice"]
