# ruff: noqa: N802, N803 - the names are those of the module
"""Stands in for the module pynvml; test_nvml.py compares it with the real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    pass


@dataclass
class Gpu:
    """None: the driver says that this is not supported."""

    energy_mj: int | None = None
    instant_mw: int | None = None
    mean_mw: int | None = None


@dataclass
class FakeNvml:
    gpus: list[Gpu]
    driver: bool = True
    opened: int = field(default=0, init=False)
    NVMLError: type[Exception] = NVMLError
    NVML_FI_DEV_POWER_INSTANT: int = 186

    def nvmlInit(self) -> None:
        if not self.driver:
            raise NVMLError("NVML Shared Library Not Found")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        return self.gpus[index]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Gpu) -> int:
        return _supported(handle.energy_mj)

    def nvmlDeviceGetPowerUsage(self, handle: Gpu) -> int:
        return _supported(handle.mean_mw)

    def nvmlDeviceGetFieldValues(self, handle: Gpu, fieldIds: list[int]) -> list[Any]:
        assert fieldIds == [self.NVML_FI_DEV_POWER_INSTANT]
        known = handle.instant_mw is not None
        value = SimpleNamespace(uiVal=handle.instant_mw or 0)
        return [SimpleNamespace(nvmlReturn=0 if known else 3, value=value)]


def _supported(value: int | None) -> int:
    if value is None:
        raise NVMLError("Not Supported")
    return value
