"""The limit: sessions of the same graph in a loop, with no server and no client around them.

    python -m benchmarks.peers.loop GRAPH CORES SECONDS

Prints one line of JSON. Runs in a process of its own, as servers do.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.peers.engine.dense_model import MOST_WINDOWS, DenseModel

BATCHES = (1, 4, MOST_WINDOWS)


def main(graph: Path, cores: int, seconds: float) -> dict[str, object]:
    """Time single runs on one thread, then as many windows as all cores can."""
    model = DenseModel(graph)
    shape = (1, *model.window_shape)
    random = np.random.default_rng(0)
    window = {name: random.standard_normal(shape, "f4") for name in model.sensors}
    latencies_s = []
    ends_s = time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < ends_s:
        model.run(window)
        latencies_s.append(time.perf_counter() - began_s)
    models = [model, *(DenseModel(graph) for _ in range(cores - 1))]
    by_batch = {}
    for batch in BATCHES:
        windows = {name: np.repeat(values, batch, axis=0) for name, values in window.items()}
        before_s, began_s = _cpu_s(), time.perf_counter()
        done = _together(models, windows, seconds / len(BATCHES))
        took_s = time.perf_counter() - began_s
        by_batch[batch] = (batch * done / took_s, (_cpu_s() - before_s) / (batch * done))
    best = max(by_batch, key=lambda batch: by_batch[batch][0])
    return {
        "one_p50_s": float(np.quantile(latencies_s, 0.5)),
        "one_p99_s": float(np.quantile(latencies_s, 0.99)),
        "saturated_hz": by_batch[best][0],
        "saturated_cpu_s": by_batch[best][1],
        "saturated_batch": best,
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _together(models: list[DenseModel], windows: dict[str, np.ndarray], seconds: float) -> int:
    """Run all models at once for a while; return how often they ran."""
    counts = [0] * len(models)
    ends_s = time.perf_counter() + seconds

    def run(index: int) -> None:
        while time.perf_counter() < ends_s:
            models[index].run(windows)
            counts[index] += 1

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
