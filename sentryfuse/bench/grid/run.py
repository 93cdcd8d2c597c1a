"""Working a grid off: what is missing is done, on several processes, and each result is kept."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from sentryfuse.bench.grid import models
from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import (
    Job,
    Measurement,
    Training,
    measurements,
    shard_of,
    trainings,
)
from sentryfuse.bench.grid.measure import measure
from sentryfuse.bench.grid.records import write_record

logger = logging.getLogger(__name__)

_FIRST_DRAWS = 2

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a grid finds and keeps things."""

    data: Path
    """Folder of the data sets."""
    runs: Path
    """Folder of trained models, one for each training."""
    records: Path
    """Folder of measured results, one file for each measurement."""

    def run(self, training: Training) -> Path:
        """Folder of one trained model."""
        return self.runs / training.name

    def record(self, job: Measurement) -> Path:
        """File of one measurement."""
        return self.records / f"{job.name}.json"

    def done(self, job: Job) -> bool:
        """Whether a job need not be done again."""
        if isinstance(job, Training):
            return models.is_trained(self.run(job))
        return self.record(job).exists()


def run_grid(
    config: GridConfig,
    places: Places,
    *,
    processes: int,
    shard: tuple[int, int] = (0, 1),
    progress: Progress = lambda done, total, message: None,
) -> int:
    """Do every job of a grid that is not done yet.

    A job that fails is logged and left out, with all that builds on it; the others go on.

    Args:
        config: The grid.
        places: Where things are.
        processes: Jobs at a time; each uses one core.
        shard: Which part of how many this machine works on.
        progress: Told how many of how many jobs are done, and what was done last.

    Returns:
        How many jobs failed or could not be tried.
    """
    index, count = shard
    mine = [model for model in trainings(config) if shard_of(model, count) == index]
    jobs: list[Job] = []
    for training in mine:
        jobs += (training, *measurements(config, training))
    todo = [job for job in jobs if _needed(config, job, places)]
    total, left = len(jobs), len(todo)
    progress(total - left, total, "found done")
    failed: set[Job] = set()
    running: dict[Future[None], Job] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        while todo or running:
            for job in _startable(todo, places, limit=processes - len(running)):
                todo.remove(job)
                running[pool.submit(do, config, job, places)] = job
            if not running:
                break
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job = running.pop(future)
                error = future.exception()
                if error is None:
                    left -= 1
                    progress(total - left, total, job.name)
                else:
                    failed.add(job)
                    logger.error("%s failed: %s: %s", job.name, type(error).__name__, error)
    return len(failed) + len(todo)


def _needed(config: GridConfig, job: Job, places: Places) -> bool:
    """Whether a job is still to be done; a model that was measured in full is not trained again."""
    if places.done(job):
        return False
    if isinstance(job, Measurement):
        return True
    return not all(map(places.done, measurements(config, job)))


def _startable(todo: Iterable[Job], places: Places, *, limit: int) -> list[Job]:
    """The next jobs whose model, if they need one, is there."""
    ready = [job for job in todo if isinstance(job, Training) or places.done(job.training)]
    ready.sort(key=_turn)
    return ready[:limit]


def _turn(job: Job) -> int:
    """What was trained is measured before more is trained, so that results come early.

    Further draws of a random method come last: they sharpen a mean that is there.
    """
    if isinstance(job, Training):
        return 1
    return 2 if job.draw >= _FIRST_DRAWS else 0


def do(config: GridConfig, job: Job, places: Places) -> None:
    """Do one job; its result appears whole or not at all."""
    if isinstance(job, Training):
        models.train(config, job, places.data, places.run(job))
        return
    source = models.read_source(places.data, job.training.data)
    trained = models.load(config, job.training, source, places.run(job.training))
    record = measure(config, job, source, trained)
    write_record(record, places.record(job))
