"""ONNX Runtime, told to keep what it sees to itself, and what it may compute on.

Since release 1.29 its Linux builds send events about models and inferences to their maker, from
the import on, unless this variable is set by then. Whoever wants that sets it to 0.
"""

from __future__ import annotations

import os
from typing import Literal

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# The variable is read while it is imported.
import onnxruntime

from sentryfuse.errors import ConfigError

Engine = Literal["cpu", "cuda"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

__all__ = ["Engine", "onnxruntime", "providers_of"]


def providers_of(engine: Engine) -> list[str]:
    """Return ONNX Runtime's names for an engine; what a GPU can't do falls to the CPU.

    Raises:
        ConfigError: The ONNX Runtime that is installed has no such engine.
    """
    provider, available = _PROVIDERS[engine], onnxruntime.get_available_providers()
    if provider not in available:
        raise ConfigError(
            f"engine {engine!r} needs ONNX Runtime's {provider}, and this one has "
            f"{', '.join(available)}; docs/tuning.md says how to install it"
        )
    return [provider] if engine == "cpu" else [provider, _PROVIDERS["cpu"]]
