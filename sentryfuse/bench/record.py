"""A benchmark record: the question, how it was asked, every sample, and the figures quoted.

A figure is never written by hand: :meth:`Record.save` writes the record and points
``figures.json`` at it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sentryfuse.provenance import current_commit

_PACKAGES = ("numpy", "onnx", "onnxruntime", "torch", "fastapi", "uvicorn", "orjson")


class Record:
    """Samples of one run, in base units, and the figures drawn from them.

    Args:
        name: File name of the record, without its ending.
        question: What the run was meant to find out.
        settings: What the run depends on besides the code.
    """

    def __init__(self, name: str, question: str, **settings: Any) -> None:
        self.name = name
        self._data: dict[str, Any] = {
            "question": question,
            "command": " ".join(["python", *(_relative(a) for a in sys.argv)]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": current_commit(),
            "hardware": hardware(),
            "versions": _versions(),
            "load_average": list(os.getloadavg()),
            "settings": settings,
            "samples": {},
            "figures": {},
        }

    def add_samples(self, name: str, samples: Sequence[float], unit: str) -> None:
        """Keep every sample of one quantity, with its median and interquartile range."""
        quarters = np.percentile(samples, [25, 50, 75])
        self._data["samples"][name] = {
            "unit": unit,
            "median": float(quarters[1]),
            "iqr": float(quarters[2] - quarters[0]),
            "samples": [float(s) for s in samples],
        }

    def add_figure(
        self, name: str, value: float, unit: str, spread: Mapping[str, float] | None = None
    ) -> None:
        """State one figure; ``spread`` says how sure it is (IQR, deviation, quantiles...)."""
        self._data["figures"][name] = {"value": value, "unit": unit, "spread": dict(spread or {})}

    @property
    def figures(self) -> Mapping[str, Mapping[str, Any]]:
        """The figures stated so far, by name."""
        figures: Mapping[str, Mapping[str, Any]] = self._data["figures"]
        return figures

    def add(self, key: str, value: Any) -> None:
        """Keep something else that a reader of the record will want."""
        self._data[key] = value

    def append_line(self, path: Path) -> None:
        """Add the record to a file of one JSON line for each run, without samples and series."""
        kept = ("question", "command", "date", "commit", "hardware", "versions", "load_average")
        line = {k: self._data[k] for k in (*kept, "settings", "figures")}
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def to_json(self) -> Mapping[str, Any]:
        """The whole record as plain data."""
        return self._data

    def save(self, folder: Path = Path("benchmarks")) -> Path:
        """Write ``records/{name}.json`` and update ``figures.json``; return the record's path.

        A figure that an earlier record of this name had, and this one has not, is gone from there.
        """
        path = folder / "records" / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self._data, indent=1) + "\n", encoding="utf-8")
        index = folder / "figures.json"
        figures = json.loads(index.read_text(encoding="utf-8")) if index.exists() else {}
        own = f"records/{path.name}"
        figures = {name: figure for name, figure in figures.items() if figure.get("record") != own}
        for name, figure in self._data["figures"].items():
            figures[name] = {**figure, "record": own}
        index.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return path


def hardware() -> dict[str, Any]:
    """Describe the processor, cores and memory of this machine."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(
            (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model
        )
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": model, "cores": os.cpu_count(), "memory_bytes": memory}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _relative(argument: str) -> str:
    """Records travel: a path of this machine is cut to what the checkout holds."""
    path = Path(argument)
    if not path.is_absolute():
        return argument
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return path.name
