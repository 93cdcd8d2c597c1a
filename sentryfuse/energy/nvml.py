# ruff: noqa: D102, N802 - the protocol repeats names of another package
"""NVIDIA GPUs through NVML, from the optional package nvidia-ml-py (``sentryfuse[nvidia]``)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

from sentryfuse.energy.counted import EnergyZone
from sentryfuse.energy.probe import CounterProbe, PowerProbe, Probe
from sentryfuse.errors import MeterError

_PERIOD_S = 0.1
"""Calls take from a tenth of a millisecond to tens: a thread makes them."""
_FROZEN_AFTER_S = 60.0
_DRIVER_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))  # Linux, and Linux under Windows


class Nvml(Protocol):
    """What is used of the module ``pynvml``."""

    NVMLError: type[Exception]
    NVML_FI_DEV_POWER_INSTANT: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int: ...
    def nvmlDeviceGetFieldValues(self, handle: Any, field_ids: list[int], /) -> Any: ...


LoadNvml = Callable[[], Nvml]


def load_nvml() -> Nvml:
    """Import the bindings, which weigh 4 MB, if there can be a GPU.

    Raises:
        MeterError: There is no driver, or they are not installed.
    """
    if not any(path.exists() for path in _DRIVER_DEVICES):
        raise MeterError(
            "no NVIDIA driver: there is no " + " and no ".join(map(str, _DRIVER_DEVICES))
        )
    try:
        return cast(Nvml, importlib.import_module("pynvml"))
    except ImportError as error:
        raise MeterError(
            "nvidia-ml-py is not installed: pip install 'sentryfuse[nvidia]'"
        ) from error


def find_nvml(load: LoadNvml = load_nvml) -> tuple[Probe, ...]:
    """Find the GPUs; the probe holds NVML until it is discarded or its meter closed.

    Energy counters (Volta and newer) are preferred to integrated power.

    Raises:
        MeterError: There are no bindings, no driver or no GPU that tells.
    """
    nvml = load()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise MeterError(f"no NVIDIA driver: {error}") from error
    try:
        return (_probe(nvml),)
    except nvml.NVMLError as error:
        nvml.nvmlShutdown()
        raise MeterError(f"NVML: {error}") from error
    except MeterError:
        nvml.nvmlShutdown()
        raise


def energy_j(nvml: Nvml, device: Any) -> float | None:
    """Return joules since the driver was loaded; None if the device does not count them."""
    try:
        return nvml.nvmlDeviceGetTotalEnergyConsumption(device) * 1e-3
    except nvml.NVMLError:
        return None


def power_w(nvml: Nvml, device: Any) -> float | None:
    """Return power now.

    From Ampere on, nvmlDeviceGetPowerUsage is a mean over one second, so the instant is asked
    for first.
    """
    try:
        (field,) = nvml.nvmlDeviceGetFieldValues(device, [nvml.NVML_FI_DEV_POWER_INSTANT])
        if field.nvmlReturn == 0 and field.value.uiVal > 0:
            return float(field.value.uiVal) * 1e-3
    except nvml.NVMLError:
        pass  # an older driver: it knows the mean only
    try:
        return nvml.nvmlDeviceGetPowerUsage(device) * 1e-3
    except nvml.NVMLError:
        return None


def _probe(nvml: Nvml) -> Probe:
    devices = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    if not devices:
        raise MeterError("no NVIDIA GPU")
    what = f"{len(devices)} GPU" + "s" * (len(devices) > 1)
    if all(energy_j(nvml, device) is not None for device in devices):
        return CounterProbe(
            source="nvml",
            reads=f"energy of {what}",
            scope="gpu",
            zones=tuple(
                EnergyZone(
                    name=f"gpu{index}",
                    read_j=partial(energy_j, nvml, device),
                    frozen_after_s=_FROZEN_AFTER_S,
                )
                for index, device in enumerate(devices)
            ),
            resolution_s=_PERIOD_S,
            keep_period_s=_PERIOD_S,
            inline=False,
            release=nvml.nvmlShutdown,
        )
    if _sum_w(nvml, devices) is None:
        raise MeterError(f"{what} tell neither energy nor power")
    return PowerProbe(
        source="nvml",
        reads=f"power of {what}",
        scope="gpu",
        read_w=partial(_sum_w, nvml, devices),
        period_s=_PERIOD_S,
        max_gap_s=2.0,
        frozen_after_s=_FROZEN_AFTER_S,
        release=nvml.nvmlShutdown,
    )


def _sum_w(nvml: Nvml, devices: Sequence[Any]) -> float | None:
    powers_w = [power_w(nvml, device) for device in devices]
    return None if None in powers_w else sum(power or 0.0 for power in powers_w)
