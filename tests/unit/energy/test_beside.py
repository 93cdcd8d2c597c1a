from __future__ import annotations

import pytest

from sentryfuse.energy import BesideMeter, CpuTimeMeter, Meter, NullMeter
from tests.unit.energy.sensors import ScriptedMeter


def test_a_gpu_adds_to_the_processor() -> None:
    cpu, gpu = ScriptedMeter("rapl", idle_power_w=4.0), ScriptedMeter("nvml", idle_power_w=9.0)
    cpu.total_j, gpu.total_j = 10.0, 25.0
    cpu.faults, gpu.faults = {"wrap": 1}, {"wrap": 2, "frozen": 1}
    both = BesideMeter(cpu, gpu)

    assert (both.source, both.joules(), both.idle_power_w) == ("rapl+nvml", 35.0, 13.0)
    assert both.faults == {"wrap": 3, "frozen": 1}


@pytest.mark.parametrize(
    ("main", "gpu", "quality", "source"),
    [
        (ScriptedMeter("rapl"), ScriptedMeter("nvml"), "measured", "rapl+nvml"),
        (CpuTimeMeter(), ScriptedMeter("nvml"), "modelled", "cpu-time+nvml"),
        (ScriptedMeter("rapl"), NullMeter(), "measured", "rapl"),
        (CpuTimeMeter(), NullMeter(), "modelled", "cpu-time"),
    ],
)
def test_a_sum_is_measured_only_if_all_of_it_is(
    main: Meter, gpu: Meter, quality: str, source: str
) -> None:
    both = BesideMeter(main, gpu)

    assert (both.quality, both.source, both.covers) == (quality, source, main.covers)


def test_a_stated_idle_power_is_that_of_the_whole_node() -> None:
    assert BesideMeter(ScriptedMeter(), ScriptedMeter(), idle_power_w=6.5).idle_power_w == 6.5


def test_closing_closes_both() -> None:
    cpu, gpu = ScriptedMeter(), ScriptedMeter()
    BesideMeter(cpu, gpu).close()

    assert cpu.closed.is_set()
    assert gpu.closed.is_set()
