"""Opens what the service knows of its machine, as settings say: meter, cap, frequency."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from app.power.cap import CapBoard, CapControl, Site
from app.power.frequency import FrequencyControl
from app.power.node import Node
from app.scheduling.cap_schedule import parse_schedule
from app.settings import Settings
from sentryfuse.energy import open_meter
from sentryfuse.energy.cpu_clock import cpu_clock
from sentryfuse.energy.cpufreq import open_cpufreq
from sentryfuse.errors import ConfigError
from sentryfuse.variants.host import usable_cores

logger = logging.getLogger(__name__)


def open_node(settings: Settings, clock: Callable[[], float]) -> Node:
    """Open the meter and the node's books.

    Raises:
        ConfigError: There is no such meter here, or a setting makes no sense.
        MeterError: The meter can't be read.
    """
    meter = open_meter(
        settings.meter,
        watts_per_core=settings.watts_per_core,
        # Not the default: a sensor learns better.
        idle_power_w=(
            settings.idle_power_w if "idle_power_w" in settings.model_fields_set else None
        ),
        recording=settings.meter_recording,
        sysfs_root=settings.sysfs_root,
    )
    return Node(
        meter,
        power_cap_w=settings.power_cap_w,
        price_j_per_cpu_s=settings.watts_per_core,
        cpu_clock=cpu_clock(meter.covers),
        clock=clock,
        processes=settings.processes,
    )


def open_cap(
    settings: Settings,
    node: Node,
    clock: Callable[[], float],
    board: CapBoard | None = None,
    site: Site | None = None,
) -> CapControl:
    """Take control of the node's cap, and follow the schedule if there is one.

    Raises:
        ConfigError: The schedule can't be read or makes no sense.
    """
    cap = CapControl(
        node.gate,
        clock=clock,
        wall_clock=time.time,
        shares=settings.processes,
        board=board,
        site=site,
    )
    path = settings.power_schedule
    if path is not None:
        try:
            # Every process has this file; one that takes another's place must not undo what was
            # set since.
            schedule = parse_schedule(json.loads(path.read_text(encoding="utf-8")))
            cap.follow(schedule, tell=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"SENTRYFUSE_POWER_SCHEDULE: {path}: {error}") from error
    return cap


def open_frequency(settings: Settings, now_s: float) -> FrequencyControl | None:
    """Take control of the processor's frequency, if that is wanted and possible."""
    if settings.cpufreq == "off":
        return None
    found = open_cpufreq(settings.sysfs_root)
    if not found.available:
        logger.warning("the frequency is left alone: %s", found.reason)
        return None
    return FrequencyControl(found, now_s=now_s)


def shares_cores(settings: Settings) -> bool:
    """Whether inference may use every core, so that the event loop takes from it."""
    return settings.workers * settings.threads >= usable_cores()
