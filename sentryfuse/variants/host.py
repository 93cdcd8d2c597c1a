"""What kind of machine this is, in one word: hosts of one kind may share measurements."""

from __future__ import annotations

import os
import platform
from hashlib import blake2b
from pathlib import Path

from sentryfuse.variants.engine import Engine, onnxruntime

_DIGEST_BYTES = 8


def host_fingerprint(engine: Engine = "cpu") -> str:
    """Return a digest of processor, usable cores, CPU quota, engine and its version."""
    facts = (
        platform.machine(),
        _processor(),
        str(usable_cores()),
        _first_line(Path("/sys/fs/cgroup/cpu.max")),
        onnxruntime.__version__,
        *_accelerator(engine),
    )
    return blake2b("\n".join(facts).encode(), digest_size=_DIGEST_BYTES).hexdigest()


def _accelerator(engine: Engine) -> tuple[str, ...]:
    """Engine and GPU, by the driver's own word; nothing for the CPU."""
    if engine == "cpu":
        return ()
    models = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return (engine, *(_first_line(path) for path in models))


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The processor's name; boards without one give the board's."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return _first_line(Path("/proc/device-tree/model")) or platform.processor()


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip("\0 ")
    except OSError:
        return ""
