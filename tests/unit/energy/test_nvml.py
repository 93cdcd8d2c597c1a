from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from sentryfuse.energy import find_meters
from sentryfuse.energy.nvml import find_nvml
from sentryfuse.energy.probe import CounterProbe, PowerProbe
from sentryfuse.errors import MeterError
from tests.unit.energy.fake_nvml import FakeNvml, Gpu

NOT_INSTALLED = "nvidia-ml-py is not installed (pip install 'sentryfuse[nvidia]')"


def test_energy_counters_of_all_gpus_are_preferred() -> None:
    nvml = FakeNvml([Gpu(energy_mj=5_000, mean_mw=1), Gpu(energy_mj=7_500, mean_mw=1)])

    (probe,) = find_nvml(lambda: nvml)

    assert isinstance(probe, CounterProbe)
    assert (probe.read_j(), probe.scope) == (12.5, "gpu")


def test_a_slow_library_is_not_called_on_a_requests_path() -> None:
    (probe,) = find_nvml(lambda: FakeNvml([Gpu(energy_mj=1)]))

    assert isinstance(probe, CounterProbe)
    assert not probe.inline


def test_a_gpu_that_counts_no_energy_has_all_of_them_integrated() -> None:
    nvml = FakeNvml([Gpu(energy_mj=5_000, mean_mw=30_000), Gpu(mean_mw=20_000)])

    (probe,) = find_nvml(lambda: nvml)

    assert isinstance(probe, PowerProbe)
    assert probe.read_w() == 50.0


def test_the_instant_is_preferred_to_the_mean_over_a_second() -> None:
    (probe,) = find_nvml(lambda: FakeNvml([Gpu(instant_mw=90_000, mean_mw=20_000)]))

    assert isinstance(probe, PowerProbe)
    assert probe.read_w() == 90.0


def test_a_gpu_that_falls_off_the_bus_reads_as_nothing() -> None:
    gpu = Gpu(mean_mw=20_000)
    (probe,) = find_nvml(lambda: FakeNvml([gpu]))
    gpu.mean_mw = None

    assert isinstance(probe, PowerProbe)
    assert probe.read_w() is None


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (FakeNvml([], driver=False), "no NVIDIA driver: NVML Shared Library Not Found"),
        (FakeNvml([]), "no NVIDIA GPU"),
        (FakeNvml([Gpu()]), "1 GPU tell neither energy nor power"),
    ],
)
def test_without_driver_gpu_or_figures_the_reason_is_told_and_nothing_held(
    nvml: FakeNvml, reason: str
) -> None:
    with pytest.raises(MeterError, match=reason):
        find_nvml(lambda: nvml)
    assert nvml.opened == 0


def test_closing_the_meter_lets_the_library_go_once() -> None:
    nvml = FakeNvml([Gpu(energy_mj=1)])
    (probe,) = find_nvml(lambda: nvml)
    meter = probe.open(None, default_idle_w=0.0)
    meter.close()
    meter.close()

    assert nvml.opened == 0


def test_the_stand_in_has_the_names_and_arguments_of_the_real_library() -> None:
    real = pytest.importorskip("pynvml", reason=NOT_INSTALLED)
    fake = FakeNvml([])

    for name in (n for n in dir(fake) if n.startswith("nvml")):
        wanted = list(inspect.signature(getattr(fake, name)).parameters)
        assert list(inspect.signature(getattr(real, name)).parameters) == wanted, name
    assert fake.NVML_FI_DEV_POWER_INSTANT == real.NVML_FI_DEV_POWER_INSTANT
    assert issubclass(real.NVMLError, Exception)


def test_the_real_library_finds_a_gpu_or_says_why_not(tmp_path: Path) -> None:
    pytest.importorskip("pynvml", reason=NOT_INSTALLED)
    *_, nvml, _ = find_meters(tmp_path, watch_s=0.0)

    assert nvml.source == "nvml"
    assert nvml.found or nvml.reason.startswith(("no NVIDIA driver: ", "no NVIDIA GPU", "NVML: "))
