"""Energy meters: cumulative joules, and the word for how they are known."""

from sentryfuse.energy.backends import Finding, Host
from sentryfuse.energy.beside import BesideMeter
from sentryfuse.energy.counted import CounterMeter, EnergyZone
from sentryfuse.energy.counter import MonotoneCounter
from sentryfuse.energy.cpu_clock import NodeCpuClock, cpu_clock, node_busy_cpu_s, process_cpu_s
from sentryfuse.energy.cpu_time import CpuTimeMeter
from sentryfuse.energy.failover import FailoverMeter
from sentryfuse.energy.idle import IdlePower
from sentryfuse.energy.integrator import PowerIntegrator
from sentryfuse.energy.meter import Covers, Fault, Meter, Quality, SensorMeter
from sentryfuse.energy.null import NullMeter
from sentryfuse.energy.opening import METERS, MeterName, find_meters, open_meter
from sentryfuse.energy.polled import PolledMeter
from sentryfuse.energy.replay import ReplayMeter, Sample, read_recording
from sentryfuse.energy.sampler import Sampler

__all__ = [
    "METERS",
    "BesideMeter",
    "CounterMeter",
    "Covers",
    "CpuTimeMeter",
    "EnergyZone",
    "FailoverMeter",
    "Fault",
    "Finding",
    "Host",
    "IdlePower",
    "Meter",
    "MeterName",
    "MonotoneCounter",
    "NodeCpuClock",
    "NullMeter",
    "PolledMeter",
    "PowerIntegrator",
    "Quality",
    "ReplayMeter",
    "Sample",
    "Sampler",
    "SensorMeter",
    "cpu_clock",
    "find_meters",
    "node_busy_cpu_s",
    "open_meter",
    "process_cpu_s",
    "read_recording",
]
