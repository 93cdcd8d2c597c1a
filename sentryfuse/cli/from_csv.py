"""``sentryfuse data from-csv``: from recordings in CSV files to a data set of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import Quiet, epilog
from sentryfuse.cli.screen import Screen

if TYPE_CHECKING:
    from sentryfuse.data.csv_windows import Sensor, Tally

# Fewer groups can't be split into training, validation and test.
_LEAST_GROUPS = 3


class TimeUnit(StrEnum):
    """Units of a clock that counts."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


def from_csv(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "from-csv",
        epilog=epilog(
            "# one file: time,person,activity,acc_x,acc_y,acc_z,pulse",
            "sentryfuse data from-csv walk.csv --label activity --group person --window-s 4 \\",
            "    --sensor wrist='acc_*' --sensor chest=pulse --out mine.npz",
            "",
            "# a file for each sensor, clocks in milliseconds, windows that overlap by half,",
            "# a longer window for the slow sensor, rates and units stated",
            "sentryfuse data from-csv acc.csv pulse.csv --time ms --time-unit ms \\",
            "    --label activity --group person --window-s 4 --window-s chest=8 --hop-s 2 \\",
            "    --sensor wrist=x,y,z --sensor chest=bpm --rate wrist=50 --rate chest=1 \\",
            "    --unit wrist=m/s^2 --unit chest=1/min --out mine.npz",
        )
        + "\n\nA file has a header. Its rows are samples: a time, a group, perhaps a label, and "
        "values; an empty cell was not measured. Labels may stand in one of the files only. "
        "Windows of one group (person, day, machine...) never stand on two sides of a split, so "
        "give at least three. Then: sentryfuse data describe, sentryfuse train.",
    )(_from_csv)


def _from_csv(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.csv...", help="Recordings; all are joined.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.npz", help="Data set to write.")],
    label: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the class, by name or number.")
    ],
    group: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of what must not stand on two sides of a split: person, day, machine...",
        ),
    ],
    sensor: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=COLUMNS",
            help="A sensor and its columns, separated by commas; * stands for any letters. Once "
            "for each sensor.",
        ),
    ],
    window_s: Annotated[
        list[str],
        typer.Option(
            metavar="[NAME=]S",
            help="Length of a window in seconds, of all sensors, or of the one named.",
        ),
    ],
    hop_s: Annotated[
        float | None,
        typer.Option(metavar="S", help="From one window to the next. Default: the longest window."),
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=HZ", help="Samples per second. Default: what the times say."),
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=UNIT", help="Unit of a sensor, for people.")
    ] = None,
    time: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="Column of the time: numbers, or ISO 8601."),
    ] = "time",
    time_unit: Annotated[
        TimeUnit, typer.Option(help="Unit of times that are numbers.")
    ] = TimeUnit.S,
    recording: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column that tells several recordings of one group apart, if there are.",
        ),
    ] = None,
    label_share: Annotated[
        float,
        typer.Option(
            metavar="PART",
            help="A window is kept if its commonest label holds for this part of it.",
        ),
    ] = 0.8,
    measured_share: Annotated[
        float,
        typer.Option(
            metavar="PART",
            help="A sensor of which less than this part was measured is absent in that window.",
        ),
    ] = 0.8,
    licence: Annotated[
        str, typer.Option(metavar="TEXT", help="Under which the recordings may be used.")
    ] = "",
    quiet: Quiet = False,
) -> None:
    """Cut CSV recordings into labelled windows, each sensor at its own rate."""
    from sentryfuse.data.csv_table import Roles, read_table
    from sentryfuse.data.csv_windows import Cutting, cut_windows
    from sentryfuse.data.windows import save_windows

    roles = Roles(
        time=time, label=label, group=group, recording=recording, time_unit=time_unit.value
    )
    sensors = _sensors(files, roles.names, sensor, window_s, rate or [], unit or [])
    hop = max(s.window_s for s in sensors) if hop_s is None else hop_s
    cutting = Cutting(hop_s=hop, label_share=label_share, measured_share=measured_share)
    columns = [column for s in sensors for column in s.columns]
    screen = Screen(quiet=quiet)
    with screen.progress() as show:
        tables = []
        for file in files:
            report = partial(show, f"read {file.name}", total=0)
            tables.append(read_table(file, roles, columns, report))
        windows, tally = cut_windows(
            tables,
            sensors,
            cutting,
            name=out.stem,
            licence=licence,
            progress=lambda done, total: show("cut", done, total, "recordings"),
        )
    save_windows(windows, out)
    screen.say(
        f"{out}: {len(windows)} windows of {len(tally.groups)} groups, "
        f"{len(windows.class_names)} classes, {len(windows.modalities)} sensors"
    )
    for modality in windows.modalities:
        screen.note(
            f"{modality.name}: {modality.length} samples at {modality.rate_hz:g} Hz, "
            f"{modality.channels} channels; absent in {tally.absent[modality.name]} windows"
        )
    _note_losses(screen, tally)
    screen.note(f"next: sentryfuse train --data {out} --out models/{out.stem}/1")


def _note_losses(screen: Screen, tally: Tally) -> None:
    for count, why in (
        (tally.unlabelled, "without a label"),
        (tally.mixed, "with several labels (--label-share)"),
        (tally.silent, "in which no sensor was measured (--measured-share)"),
    ):
        if count:
            screen.note(f"left out: {count} windows {why}")
    if len(tally.groups) < _LEAST_GROUPS:
        screen.note(
            f"only {len(tally.groups)} groups: training needs {_LEAST_GROUPS}, since windows of "
            "one group on two sides of the split would flatter the model"
        )


def _sensors(
    files: Sequence[Path],
    taken: Sequence[str],
    sensor: Sequence[str],
    window_s: Sequence[str],
    rate: Sequence[str],
    unit: Sequence[str],
) -> list[Sensor]:
    """The sensors that the options describe."""
    from sentryfuse.data.csv_table import header
    from sentryfuse.data.csv_windows import Sensor

    columns = dict(_pair("--sensor", text) for text in sensor)
    if len(columns) < len(sensor):
        raise typer.BadParameter("names a sensor twice", param_hint="'--sensor'")
    known = list(dict.fromkeys(name for file in files for name in header(file)))
    free = [name for name in known if name not in taken]
    own = [text for text in window_s if "=" in text]
    common = [_number("--window-s", text) for text in window_s if "=" not in text]
    if len(common) > 1:
        raise typer.BadParameter("gives two windows for all sensors", param_hint="'--window-s'")
    windows = {n: _number("--window-s", t) for n, t in _named("--window-s", own, columns).items()}
    rates = {n: _number("--rate", t) for n, t in _named("--rate", rate, columns).items()}
    units = _named("--unit", unit, columns)
    lacking = [name for name in columns if name not in windows and not common]
    if lacking:
        raise typer.BadParameter(f"gives none for {lacking[0]!r}", param_hint="'--window-s'")
    return [
        Sensor(
            name=name,
            columns=_matching(name, patterns, free),
            window_s=windows.get(name) or common[0],
            rate_hz=rates.get(name),
            unit=units.get(name, ""),
        )
        for name, patterns in columns.items()
    ]


def _matching(sensor: str, patterns: str, known: Sequence[str]) -> tuple[str, ...]:
    """The columns that a sensor's list names, in its order."""
    found: list[str] = []
    for pattern in filter(None, map(str.strip, patterns.split(","))):
        matches = [name for name in known if name == pattern or fnmatchcase(name, pattern)]
        if not matches:
            raise typer.BadParameter(
                f"{sensor}: no column {pattern!r}; there are {', '.join(known)}",
                param_hint="'--sensor'",
            )
        found += [name for name in matches if name not in found]
    if not found:
        raise typer.BadParameter(f"{sensor}: names no column", param_hint="'--sensor'")
    return tuple(found)


def _named(option: str, texts: Sequence[str], sensors: dict[str, str]) -> dict[str, str]:
    pairs = dict(_pair(option, text) for text in texts)
    for name in pairs:
        if name not in sensors:
            raise typer.BadParameter(
                f"no sensor {name!r}; there are {', '.join(sensors)}", param_hint=f"'{option}'"
            )
    return pairs


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise typer.BadParameter(f"must be NAME=VALUE, got {text!r}", param_hint=f"'{option}'")
    return name.strip(), value.strip()


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise typer.BadParameter(
            f"must be a positive number, got {text!r}", param_hint=f"'{option}'"
        )
    return value
