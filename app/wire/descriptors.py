"""Open files: a connection is one, and many systems allow a process 1024 unless it asks."""

from __future__ import annotations

import logging
import resource

logger = logging.getLogger(__name__)

_OTHERS = 128  # bundles, sockets to Redis, meters, logs


def make_room(connections: int) -> None:
    """Raise this process's soft limit on open files as far as its connections need and it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHERS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    if granted < wanted:
        logger.warning(
            "the system allows %d open files, too few for %d connections", granted, connections
        )
