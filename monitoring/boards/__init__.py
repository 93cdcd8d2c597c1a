"""The dashboards, one file each."""

from monitoring.boards.fleet import FLEET
from monitoring.boards.request_path import REQUEST_PATH
from monitoring.boards.variants import VARIANTS

__all__ = ["BOARDS"]

BOARDS = (FLEET, VARIANTS, REQUEST_PATH)
