"""Where the service starts: in this process, or in several that a supervisor watches."""

from __future__ import annotations

import gc
import sys

from app.scheduling.fair_slack import Policy
from app.settings import Settings, load_settings


def serve(settings: Settings | None = None, *, policy: Policy | None = None) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the process at once, with status 1.

    Args:
        settings: Read from the environment if not given.
        policy: Schedules in the place of ours; for a single process only.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    settings = settings or load_settings()
    if settings.processes > 1:
        # Only what it needs: the supervisor serves nothing, and should be small.
        from app.processes.supervisor import Supervisor

        gc.enable()
        if status := Supervisor(settings).run():
            sys.exit(status)
        return
    # Nearly all that is made until the service is ready stays: looking for garbage among it again
    # and again takes a tenth of the time. The lifecycle turns it on.
    gc.disable()
    from app.serving import serve_on

    serve_on(settings, policy=policy)
