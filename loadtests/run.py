"""Ask the real server under real load; every answer is a record in benchmarks/.

Starts the service as its own process, replays seeded traces from an open-loop client in another
one, and reads power from the server's meter. Leave the machine alone meanwhile: client, server
and whatever else runs share its cores.

    python -m loadtests attainment        requests answered in time at half the capacity
    python -m loadtests policies          ours beside SlackFit and fixed variants, in turns
    python -m loadtests cap               power under a cap that is stepped up and down
    python -m loadtests profile           servers whose host profile is wrong by half
    python -m loadtests drain             servers that are told to end under load
    python -m loadtests overload          ten times the capacity for a minute
    python -m loadtests reload            versions that come and go under load
    python -m loadtests soak              all kinds of visits for half an hour, and a scale
    python -m loadtests redis             requests while Redis fails in every way it can
    python -m loadtests dashboards        every panel and alert, asked of a real Prometheus
    python -m loadtests site              three services under one cap, killed in turns
    python -m loadtests play FILE.toml    a scenario of your own, or one of those that come along
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loadtests.bench import bench
from loadtests.board_picture import draw_panels
from loadtests.figures import draw_cap
from loadtests.play.sheet import find_sheet, key_table, read_sheet, shipped
from loadtests.redis_faults import ABSENT, FAULTS
from loadtests.scenarios import (
    attainment,
    cap,
    dashboards,
    drain,
    overload,
    play,
    policies,
    profile,
    redis_faults,
    reload,
    site,
    soak,
)
from loadtests.site_figure import draw_site
from sentryfuse.bench.policies.traces import TRACES
from sentryfuse.errors import ConfigError

_PLAYS = Path("runs/plays")
_PICTURE = Path("docs/figures/loadtest-cap.svg")
_PANELS = Path("docs/figures/dashboards.svg")
_SITE_PICTURE = Path("docs/figures/loadtest-site.svg")
_RUNS: dict[str, Callable[..., Any]] = {
    "attainment": attainment.run,
    "policies": policies.run,
    "cap": cap.run,
    "profile": profile.run,
    "drain": drain.run,
    "overload": overload.run,
    "reload": reload.run,
    "soak": soak.run,
    "redis": redis_faults.run,
    "dashboards": dashboards.run,
    "site": site.run,
}

_DRAW = {"cap": draw_cap, "dashboards": draw_panels, "site": draw_site}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one scenario and keep its record."""
    chosen = vars(parser().parse_args(arguments))
    if chosen["scenario"] == "play":
        _play(**chosen)
        return
    scenario, out, model = chosen.pop("scenario"), chosen.pop("out"), chosen.pop("model")
    models, quiet, picture = chosen.pop("models"), chosen.pop("quiet"), chosen.pop("picture", None)
    meter = chosen.pop("meter")
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = {"load_models": model.partition("/")[0]} | (
        {} if meter is None else {"meter": meter}
    )
    with bench(models, model, quiet=quiet, **settings) as where:
        record = _RUNS[scenario](where, **given)
    for name, figure in record.figures.items():
        where.screen.say(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    if out is not None:
        path = record.save(out)
        where.screen.note(f"wrote {path}")
        if picture is not None:
            where.screen.note(f"drew {_DRAW[scenario](path, picture)}")


def _play(
    file: str,
    *,
    models: Path,
    model: str,
    meter: str | None,
    out: Path | None,
    quiet: bool,
    seconds: float | None,
    rate_hz: float | None,
    capacity_seconds: float | None,
    seed: int | None,
    **_: Any,
) -> None:
    """Play a scenario of a file; keep its page and one line of JSON."""
    try:
        path = find_sheet(file)
        sheet = read_sheet(path)
    except ConfigError as error:
        raise SystemExit(f"error: {error}") from error
    if rate_hz is not None:
        sheet = replace(sheet, arrivals=replace(sheet.arrivals, rate_hz=rate_hz, load=None))
    sheet = replace(sheet, seconds=seconds or sheet.seconds)
    sheet = replace(sheet, seed=sheet.seed if seed is None else seed)
    settings = {} if meter is None else {"meter": meter}
    measured = {} if capacity_seconds is None else {"capacity_seconds": capacity_seconds}
    with bench(models, model, quiet=quiet, **settings) as where:
        record = play.run(where, sheet, **measured)
    if out is not None:
        source = path.read_text(encoding="utf-8")
        html, lines = play.save(record, sheet, source, out)
        where.screen.note(f"wrote {html}; one more line in {lines}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    commands = argparse.ArgumentParser(
        prog="python -m loadtests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everywhere = _everywhere(Path("benchmarks"))
    rated = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    add = rated.add_argument
    add("--load", type=float, help="request rate over what the smallest variant can carry")
    add("--rate-hz", type=float, help="request rate, in the place of such a part")
    add("--capacity-seconds", type=float, help="how long that is measured (6)")
    scenarios = commands.add_subparsers(dest="scenario", required=True, metavar="scenario")

    def scenario(
        name: str, what: str, parent: argparse.ArgumentParser = rated
    ) -> Callable[..., Any]:
        added = scenarios.add_parser(name, help=what, description=what, parents=[parent])
        return added.add_argument

    add = scenario("attainment", "requests in time at a load that the smallest variant can carry")
    add("--seconds", type=float, help="length of the trace (120)")
    add("--deadline-s", type=float, help="latency budget of every request (0.025)")
    add("--seed", type=int, help="of the trace (0)")

    add = scenario("policies", "policies side by side on the same traces, in turns")
    add("--policies", nargs="+", help="names as in the simulator")
    add("--traces", nargs="+", choices=TRACES, help="poisson bursts-8 dropout neighbour")
    add("--seconds", type=float, help="length of one trial (10)")
    add("--rounds", type=int, help="trials of every policy on every trace (2)")
    add("--windows", type=int, help="in each request (4)")
    add("--deadline-s", type=float, help="latency budget of every request (0.05)")

    add = scenario("cap", "power under a cap that is stepped up and down")
    add("--steps", type=float, nargs="+", help="caps as parts of the active power without cap")
    add("--step-seconds", type=float, help="length of each (25)")
    add("--free-seconds", type=float, help="without cap, before and after (10)")
    add("--deadline-s", type=float, help="latency budget of every request (0.05)")
    add("--seed", type=int, help="of the trace (0)")
    add("--picture", type=Path, default=_PICTURE, help=f"where it is drawn ({_PICTURE})")

    add = scenario("profile", "servers whose host profile is wrong by half")
    add("--starts", type=int, help="servers started with each profile (8)")
    add("--requests", type=int, help="sent to each (500)")
    add("--deadline-s", type=float, help="latency budget of every request (0.025)")
    add("--seed", type=int, help="of the first trace (0)")

    add = scenario("drain", "servers that are told to end under load")
    add("--rounds", type=int, help="servers (10)")
    add("--seconds", type=float, help="length of each trace, cut half-way (4)")
    add("--drain-s", type=float, help="how long they listen after the signal (0)")
    add("--deadline-s", type=float, help="latency budget of every request (0.5)")
    add("--seed", type=int, help="of the first trace (0)")

    add = scenario("overload", "ten times the capacity for a minute")
    add("--seconds", type=float, help="how long (60)")
    add("--deadline-s", type=float, help="latency budget of every request (0.05)")
    add("--windows", type=int, help="in each request (1)")
    add("--bursts", type=int, help="short ones afterwards, to see who is served (10)")
    add("--seed", type=int, help="of the arrivals (0)")

    add = scenario("reload", "versions that come and go under load")
    add("--seconds", type=float, help="length of the trace (120)")
    add("--quiet-seconds", type=float, help="of it, before the first is loaded (15)")
    add("--pause-s", type=float, help="between two (0.5)")
    add("--deadline-s", type=float, help="latency budget of every request (0.5)")
    add("--seed", type=int, help="of the trace (0)")

    add = scenario("soak", "all kinds of visits for half an hour, and a scale")
    add("--minutes", type=float, help="how long (30)")
    add("--visitors", type=int, help="at the same time (6)")
    add("--pause-s", type=float, help="mean pause of each between two visits (0.05)")
    add("--seed", type=int, help="of everything that is left to chance (0)")

    add = scenario("redis", "requests while Redis fails in every way it can", everywhere)
    add("--faults", nargs="+", choices=[f.name for f in (ABSENT, *FAULTS)], help="which (all)")
    add("--seconds", type=float, help="length of each stretch, healthy and faulty (15)")
    add("--recovery-seconds", type=float, help="how long the load goes on afterwards (4)")
    add("--rate-hz", type=float, help="requests per second (20)")
    add("--sensors", type=int, help="least number of sensors in a request (1)")

    add = scenario("dashboards", "every panel and alert, asked of a real Prometheus", everywhere)
    add("--seconds", type=float, help="how long the load lasts (20)")
    add("--rate-hz", type=float, help="requests per second (20)")
    add("--picture", type=Path, default=_PANELS, help=f"where panels are drawn ({_PANELS})")

    add = scenario("site", "three services under one cap, killed in turns")
    add("--seconds", type=float, help="how long (120)")
    add("--kill-every-s", type=float, help="time between two kills (10)")
    add("--deadline-s", type=float, help="latency budget of every request (0.25)")
    add("--seed", type=int, help="of the arrivals (0)")
    add("--picture", type=Path, default=_SITE_PICTURE, help=f"drawn here ({_SITE_PICTURE})")

    _add_play(scenarios)
    return commands


def _everywhere(out: Path) -> argparse.ArgumentParser:
    """What every scenario knows; one parser for each default, since parsers share what they add."""
    everywhere = argparse.ArgumentParser(add_help=False)
    add = everywhere.add_argument
    add("--models", type=Path, default=Path("models"), help="directory of bundles (models)")
    add("--model", default="dsads-maestro/1", help="NAME/VERSION that is asked (dsads-maestro/1)")
    add("--meter", help="the server's energy meter (its own choice)")
    add("--out", type=Path, default=out, help=f"where the result goes ({out})")
    add("--no-record", dest="out", action="store_const", const=None, help="keep no record")
    add("--quiet", action="store_true", help="no progress")
    return everywhere


def _add_play(scenarios: Any) -> None:
    what = "a scenario of a file: its page with pictures, and one line of JSON"
    added = scenarios.add_parser(
        "play",
        help=what,
        description=f"Play {what}.\n\nComes along: {', '.join(shipped())}\n\n"
        f"A file is TOML, such as\n\n{_indented(find_sheet('bursty').read_text('utf-8'))}\n"
        f"Keys\n\n{key_table()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_everywhere(_PLAYS)],
    )
    add = added.add_argument
    add("file", help="a TOML file, or the name of one that comes along")
    add("--seconds", type=float, help="length, in the place of the file's")
    add("--rate-hz", type=float, help="requests per second, in the place of the file's load")
    add("--capacity-seconds", type=float, help="how long the capacity is measured (6)")
    add("--seed", type=int, help="in the place of the file's")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines()) + "\n"
