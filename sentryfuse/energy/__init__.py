"""Energy meters: cumulative joules, and the word for how they are known."""

from sentryfuse.energy.counter import MonotoneCounter
from sentryfuse.energy.cpu_time import CpuTimeMeter
from sentryfuse.energy.meter import Fault, Meter, Quality
from sentryfuse.energy.null import NullMeter
from sentryfuse.energy.opening import METERS, open_meter
from sentryfuse.energy.replay import ReplayMeter, Sample, read_recording

__all__ = [
    "METERS",
    "CpuTimeMeter",
    "Fault",
    "Meter",
    "MonotoneCounter",
    "NullMeter",
    "Quality",
    "ReplayMeter",
    "Sample",
    "open_meter",
    "read_recording",
]
