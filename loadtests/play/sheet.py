"""What a scenario file may say."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.settings import Settings
from loadtests.play.keys import (
    at_least_zero,
    check_names,
    explain,
    key,
    one_of,
    positive,
    read_table,
    rows,
    steps,
    table,
    text,
    truth,
    whole,
)
from sentryfuse.errors import ConfigError

SHIPPED = Path(__file__).parent / "files"
"""Where the scenarios are that a name alone finds."""

_OURS = ("models", "default_model", "load_models", "host", "port", "grpc_port", "profiles")
_SERVER_KEYS = sorted(set(Settings.model_fields) - set(_OURS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalSheet:
    """When requests come: drawn at random, or read from a file."""

    load: float | None = key(
        "mean rate, as a part of what the smallest variant can carry here (measured first)",
        positive,
        default=None,
    )
    rate_hz: float | None = key("mean rate in requests per second", positive, default=None)
    squared_variation: float = key(
        "of the gaps, gamma distributed: 1 is Poisson, 8 comes in bursts", positive, default=1.0
    )
    pace: tuple[tuple[float, float], ...] = key(
        "steps [[at_s, factor], ...] on the rate", steps, default=((0.0, 1.0),)
    )
    replay: Path | None = key(
        "CSV file of requests, beside this one: at_s, sensors, windows, model",
        lambda given: Path(text(given)),
        default=None,
    )
    speed: float = key("how much faster than in that file they come", positive, default=1.0)

    def __post_init__(self) -> None:
        given = [self.load is not None, self.rate_hz is not None, self.replay is not None]
        if sum(given) != 1:
            raise ConfigError("[arrivals] needs one of load, rate_hz and replay, and only one")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSheet:
    """What each request asks for."""

    deadline_s: float = key("latency budget of each", positive, default=0.05)
    strict: bool = key("rather refused than late", truth, default=True)
    windows: int = key("in each request", whole(1), default=1)
    sensors: str = key(
        "all: none is missing; worn: eight wearers, each with its own; dropout: each wearer's "
        "sensors come and go",
        one_of("all", "worn", "dropout"),
        default="all",
    )
    up_s: float = key("mean time that a sensor is there, for dropout", positive, default=2.0)
    down_s: float = key("mean time that it is away", positive, default=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapStep:
    """A step of the node's power cap."""

    at_s: float = key("when", at_least_zero)
    watts: float | None = key("the cap", positive, default=None)
    part: float | None = key(
        "the cap: idle power and so much of the active power that this load draws without one "
        "(measured first)",
        positive,
        default=None,
    )

    def __post_init__(self) -> None:
        if self.watts is not None and self.part is not None:
            raise ConfigError("a [[cap]] has watts or part, or neither to lift it, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourSheet:
    """A stretch in which another program takes CPU time away, on every core."""

    from_s: float = key("when it begins", at_least_zero)
    to_s: float = key("when it ends", positive)
    share: float = key("of each core, below 1", positive)

    def __post_init__(self) -> None:
        if not (self.from_s < self.to_s and self.share < 1):
            raise ConfigError(f"a [[neighbour]] needs from_s < to_s and share < 1, got {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSheet:
    """Copies of the bundle under other names, with other weights, all on one server."""

    count: int = key("how many", whole(1), default=1)
    popularity: float = key(
        "exponent of their popularity (Zipf): 0 asks all alike", at_least_zero, default=1.0
    )


def _server(given: object) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise ConfigError(f"[server] must be a table, got {given!r}")
    check_names(given, _SERVER_KEYS, "[server]")
    return {name: _listed(value) for name, value in given.items()}


def _listed(value: object) -> object:
    return ",".join(map(str, value)) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One scenario."""

    about: str = key("what it shows, in a sentence or two", text)
    seconds: float | None = key(
        "how long it lasts (60; a file that is replayed: all of it)", positive, default=None
    )
    seed: int = key("of everything left to chance", whole(0), default=0)
    apart: bool = key(
        "half of the cores for the server, the others for whoever sends", truth, default=False
    )
    arrivals: ArrivalSheet = key("when requests come", table(ArrivalSheet, "[arrivals]"))
    requests: RequestSheet = key(
        "what each asks for", table(RequestSheet, "[requests]"), default=RequestSheet()
    )
    cap: tuple[CapStep, ...] = key(
        "steps of the node's power cap", rows(CapStep, "[[cap]]"), default=()
    )
    neighbour: tuple[NeighbourSheet, ...] = key(
        "stretches in which CPU time is taken away",
        rows(NeighbourSheet, "[[neighbour]]"),
        default=(),
    )
    models: ModelSheet = key("several models", table(ModelSheet, "[models]"), default=ModelSheet())
    server: Mapping[str, object] = key(
        "settings of the service, as `sentryfuse serve --help` lists them, in lower case",
        _server,
        default_factory=dict,
    )
    name: str = ""

    def __post_init__(self) -> None:
        times_s = [step.at_s for step in self.cap]
        if sorted(set(times_s)) != times_s:
            raise ConfigError(f"at_s of each [[cap]] must be later than the last, got {times_s}")
        ends_s = [0.0, *(end_s for n in self.neighbour for end_s in (n.from_s, n.to_s))]
        if sorted(ends_s) != ends_s:
            raise ConfigError("each [[neighbour]] must begin after the last has ended")

    @property
    def has_parts(self) -> bool:
        """Whether a cap depends on what the load draws without one."""
        return any(step.part is not None for step in self.cap)


TABLES = (
    ("the file itself", Sheet),
    ("[arrivals]", ArrivalSheet),
    ("[requests]", RequestSheet),
    ("[[cap]]", CapStep),
    ("[[neighbour]]", NeighbourSheet),
    ("[models]", ModelSheet),
)


def shipped() -> tuple[str, ...]:
    """Names of the scenarios that come with the project."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def find_sheet(name: str) -> Path:
    """The file of a scenario: one that is there, or one that comes with the project.

    Raises:
        ConfigError: There is neither.
    """
    if name in shipped():
        return SHIPPED / f"{name}.toml"
    path = Path(name)
    if not path.is_file():
        raise ConfigError(f"there is no scenario {name!r}; give a file, or {', '.join(shipped())}")
    return path


def read_sheet(path: Path) -> Sheet:
    """Read a scenario file.

    Raises:
        ConfigError: It can't be read, has a key that is unknown, or asks for what makes no sense;
            the message names the file, the key and what is allowed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        sheet = read_table(Sheet, content, "the file")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ConfigError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    arrivals = sheet.arrivals
    if arrivals.replay is not None:
        arrivals = replace(arrivals, replay=path.parent / arrivals.replay)
    return replace(sheet, name=path.stem, arrivals=arrivals)


def key_table() -> str:
    """Every key that a file may have, with its meaning, for people."""
    lines = []
    for title, kind in TABLES:
        lines.append(title)
        lines += [f"  {name:<18} {about}" for name, about in explain(kind)]
    return "\n".join(lines)
