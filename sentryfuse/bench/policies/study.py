"""All traces x all policies x all seeds, on several processes."""

from __future__ import annotations

import multiprocessing
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.oracle import best_effective_accuracy
from sentryfuse.bench.policies.rivals import contender, policy_names
from sentryfuse.bench.policies.score import Score, score
from sentryfuse.bench.policies.traces import TRACES, Trace, make_trace
from sentryfuse.bench.policies.world import simulate
from sentryfuse.errors import ConfigError

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """How one trace is played."""

    load: float
    """Mean rate over what the smallest variant carries one by one."""
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is compared on what."""

    deadline_s: float
    seeds: tuple[int, ...]
    scenes: Mapping[str, Scene]
    """By name of the trace."""
    policies: tuple[str, ...]

    def trace(self, node: Node, name: str, seed: int) -> Trace:
        """Draw one of the traces, its rate measured by what the node can carry."""
        return make_trace(
            name,
            rate_hz=self.scenes[name].load * node.capacity_hz(),
            duration_s=self.scenes[name].duration_s,
            deadline_s=self.deadline_s,
            seed=seed,
            num_modalities=node.num_modalities,
            idle_power_w=node.idle_power_w,
            active_power_w=node.active_power_w,
        )

    def only(
        self, traces: Sequence[str] = (), policies: Sequence[str] = (), seeds: Sequence[int] = ()
    ) -> Study:
        """Keep some; nothing named keeps all.

        Raises:
            ConfigError: A trace or a policy is unknown.
        """
        _check_known("trace", traces, self.scenes)
        _check_known("policy", policies, self.policies)
        return replace(
            self,
            scenes={n: s for n, s in self.scenes.items() if not traces or n in traces},
            policies=tuple(p for p in self.policies if not policies or p in policies),
            seeds=tuple(seeds) or self.seeds,
        )

    def shortened(self, duration_s: float) -> Study:
        """No trace longer than this, and one seed: to see that everything runs."""
        scenes = {
            name: replace(scene, duration_s=min(scene.duration_s, duration_s))
            for name, scene in self.scenes.items()
        }
        return replace(self, scenes=scenes, seeds=self.seeds[:1])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "deadline_s": self.deadline_s,
            "seeds": list(self.seeds),
            "traces": {
                name: {"load": scene.load, "duration_s": scene.duration_s}
                for name, scene in self.scenes.items()
            },
            "policies": list(self.policies),
        }


@dataclass(frozen=True, slots=True)
class Results:
    """Scores of every run, and the oracle's bound for every trace and seed."""

    scores: tuple[Score, ...]
    bounds: Mapping[tuple[str, int], float]


def read_study(path: Path, permilles: Sequence[int]) -> Study:
    """Read ``configs/bench/policies.toml``.

    Args:
        path: The file.
        permilles: Ratios on offer: each is also a fixed policy.

    Raises:
        ConfigError: A field is missing, unknown or makes no sense.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        scenes = {
            name: Scene(float(scene["load"]), float(scene["duration_s"]))
            for name, scene in data["traces"].items()
        }
        study = Study(
            deadline_s=float(data["deadline_s"]),
            seeds=tuple(int(seed) for seed in data["seeds"]),
            scenes=scenes,
            policies=policy_names(permilles),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a study of policies: {error!r}") from error
    _check_known("trace", study.scenes, TRACES)
    return study


def run_study(
    study: Study, node: Node, *, processes: int, progress: Progress | None = None
) -> Results:
    """Simulate everything.

    Args:
        study: What to compare.
        node: On which machine.
        processes: How many simulate at a time.
        progress: Told how many of how many runs are done.
    """
    traces = list(product(study.scenes, study.seeds))
    # Long traces first, so that no process is left alone with one at the end.
    traces.sort(key=lambda pair: -study.scenes[pair[0]].duration_s * study.scenes[pair[0]].load)
    jobs = [(name, seed, policy) for name, seed in traces for policy in (None, *study.policies)]
    scores: list[Score] = []
    bounds: dict[tuple[str, int], float] = {}
    # Fresh processes: the inference engine's threads of this one do not survive a fork.
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _prepare, (study, node)
    ) as pool:
        running = {pool.submit(_run_one, *job): job for job in jobs}
        for done, future in enumerate(as_completed(running), start=1):
            name, seed, _ = running[future]
            result = future.result()
            if isinstance(result, Score):
                scores.append(result)
            else:
                bounds[name, seed] = result
            if progress is not None:
                progress(done, len(jobs))
    order = {name: i for i, name in enumerate((*study.scenes, *study.policies))}
    scores.sort(key=lambda s: (order[s.trace], order[s.policy], s.seed))
    return Results(tuple(scores), bounds)


_prepared: list[tuple[Study, Node]] = []


def _prepare(study: Study, node: Node) -> None:
    """Give a new process what all of its runs need."""
    _prepared[:] = [(study, node)]
    _draw.cache_clear()


def _run_one(name: str, seed: int, policy: str | None) -> Score | float:
    """Simulate one policy, or solve for the oracle."""
    node, trace = _prepared[0][1], _draw(name, seed)
    if policy is None:
        return best_effective_accuracy(node, trace)
    chosen = contender(policy)
    return score(simulate(node, trace, chosen.policy, estimator=chosen.estimator))


@lru_cache(maxsize=4)
def _draw(name: str, seed: int) -> Trace:
    study, node = _prepared[0]
    return study.trace(node, name, seed)


def _check_known(what: str, given: Sequence[str] | Mapping[str, Any], known: Any) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"{what} must be one of {', '.join(known)}, got {name!r}")
