"""``sentryfuse data``: list, download, convert, make from CSV, describe, simulate data sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentryfuse.cli.from_csv import from_csv
from sentryfuse.cli.options import AsJson, Quiet, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.cli.simulate import simulate

if TYPE_CHECKING:
    from sentryfuse.data.source import Source
    from sentryfuse.data.windows import WindowSet

app = typer.Typer(
    help="Fetch, convert, make and describe data sets; simulate windows.",
    rich_markup_mode=None,
    epilog=epilog(
        "sentryfuse data list",
        "sentryfuse data download dsads --out data/dsads.npz",
        "sentryfuse data from-csv walk.csv --label activity --group person --window-s 4 "
        "--sensor wrist='acc_*' --sensor chest=pulse --out mine.npz",
        "sentryfuse data describe data/dsads.npz",
        "sentryfuse data simulate models/mine/1 --label sitting",
    ),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="See: sentryfuse data list.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE.npz", help="File to write. Default: data/NAME.npz."),
]


@app.command("list", epilog=epilog("sentryfuse data list", "sentryfuse data list --json"))
def list_(as_json: AsJson = False) -> None:
    """List the public data sets that can be fetched and converted."""
    from sentryfuse.data.registry import SOURCES

    screen = Screen()
    if as_json:
        fields = ("name", "title", "application", "home", "url", "size_bytes", "licence")
        screen.json([{f: getattr(source, f) for f in fields} for source in SOURCES.values()])
        return
    screen.table(
        ("name", "application", "MB", "licence", "home"),
        [
            (s.name, s.application, f"{s.size_bytes / 1e6:.0f}", s.licence, s.home)
            for s in SOURCES.values()
        ],
    )


@app.command(
    epilog=epilog(
        "sentryfuse data download dsads",
        "sentryfuse data download dsads --out data/dsads.npz --cache /tmp/archives",
    )
)
def download(
    name: Name,
    out: Out = None,
    cache: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Where the archive is kept; resumed if it broke off."),
    ] = Path("data/archives"),
    quiet: Quiet = False,
) -> None:
    """Fetch a data set from its official place, check it, and convert it.

    Without a network, fetch the archive elsewhere and use: sentryfuse data convert.
    """
    from sentryfuse.data.download import DownloadError
    from sentryfuse.data.download import download as fetch
    from sentryfuse.data.registry import find_source

    source = find_source(name)
    screen = Screen(quiet=quiet)
    archive = cache / source.archive_name
    with screen.progress() as show:
        try:
            fetch(
                source.url,
                archive,
                size_bytes=source.size_bytes,
                sha256_hex=source.sha256,
                progress=lambda done, total: show("download", done, total, f"{done / 1e6:.0f} MB"),
            )
        except DownloadError as error:
            raise DownloadError(
                f"{error}. Offline? Fetch that file with a browser on another machine, then run: "
                f"sentryfuse data convert {name} --archive FILE"
            ) from error
    _convert(source, archive, out, screen)


@app.command(
    epilog=epilog(
        "sentryfuse data convert dsads --archive daily+and+sports+activities.zip",
        "sentryfuse data convert dsads --archive dsads.zip --no-verify --out data/dsads.npz",
    )
)
def convert(
    name: Name,
    archive: Annotated[
        Path, typer.Option(metavar="FILE", help="The archive, as downloaded; not unpacked.")
    ],
    out: Out = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            help="Compare size and SHA-256 with the known archive first. Its content is checked "
            "either way.",
        ),
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Convert an archive that you have to the window format."""
    from sentryfuse.data.download import check_archive
    from sentryfuse.data.registry import find_source
    from sentryfuse.errors import DataError

    source = find_source(name)
    if verify:
        try:
            check_archive(archive, source.size_bytes, source.sha256)
        except DataError as error:
            raise DataError(f"{error}; --no-verify converts it all the same") from error
    _convert(source, archive, out, Screen(quiet=quiet))


def _convert(source: Source, archive: Path, out: Path | None, screen: Screen) -> None:
    from sentryfuse.data.windows import save_windows

    target = out or Path("data") / f"{source.name}.npz"
    with screen.progress() as show:
        windows = source.convert(archive, lambda done, total: show("convert", done, total, "files"))
    save_windows(windows, target)
    screen.say(f"{target}: {len(windows)} windows, {len(windows.modalities)} modalities")
    screen.note(f"licence: {source.licence}; cite: {source.citation}")


@app.command(
    epilog=epilog("sentryfuse data describe my.npz", "sentryfuse data describe my.npz --json")
)
def describe(
    path: Annotated[Path, typer.Argument(metavar="FILE.npz", help="Data set to look into.")],
    as_json: AsJson = False,
) -> None:
    """Show what a data set of the window format holds, and how it would be split."""
    from sentryfuse.data.windows import load_windows

    windows = load_windows(path)
    facts = _describe(windows)
    screen = Screen()
    if as_json:
        screen.json(facts)
        return
    split = facts["split"]
    screen.facts(
        {
            "windows": facts["windows"],
            "groups": facts["groups"],
            "split": split.get("error")
            or ", ".join(f"{part} {split[part]}" for part in ("train", "val", "test")),
            "licence": facts["licence"],
            "citation": facts["citation"],
        }
    )
    screen.table(
        ("modality", "length", "channels", "Hz", "not measured", "unit"),
        [
            (
                m["name"],
                str(m["length"]),
                str(m["channels"]),
                f"{m['rate_hz']:g}",
                f"{m['missing_ratio']:.1%}",
                m["unit"],
            )
            for m in facts["modalities"]
        ],
    )
    screen.table(
        ("class", "windows"), [(name, str(count)) for name, count in facts["classes"].items()]
    )


def _describe(windows: WindowSet) -> dict[str, Any]:
    import numpy as np

    counts = np.bincount(windows.label, minlength=len(windows.class_names)).tolist()
    source = windows.meta.get("source")
    source = source if isinstance(source, Mapping) else {}
    return {
        "windows": len(windows),
        "groups": len(np.unique(windows.group)),
        "split": _split_sizes(windows),
        "modalities": [
            {
                "name": m.name,
                "length": m.length,
                "channels": m.channels,
                "rate_hz": m.rate_hz,
                "unit": m.unit,
                "missing_ratio": float(1 - np.isfinite(windows.arrays[m.name]).mean()),
            }
            for m in windows.modalities
        ],
        "classes": dict(zip(windows.class_names, counts, strict=True)),
        "licence": str(source.get("licence", "")),
        "citation": str(source.get("citation", "")),
    }


def _split_sizes(windows: WindowSet) -> dict[str, Any]:
    """Windows in each part; or why the data set cannot be split, which is no reason to stop."""
    from sentryfuse.data.splits import recommended_split
    from sentryfuse.errors import DataError

    try:
        split = recommended_split(windows)
    except DataError as error:
        return {"error": str(error)}
    return {part: len(windows.of_groups(getattr(split, part))) for part in ("train", "val", "test")}


from_csv(app)
simulate(app)
