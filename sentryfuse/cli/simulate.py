"""``sentryfuse data simulate``: windows from the class averages in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import BundlePath, Quiet, epilog
from sentryfuse.cli.screen import Screen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sentryfuse.bundle import Bundle


def simulate(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "simulate",
        epilog=epilog(
            "sentryfuse data simulate models/mine/1 > window.json",
            "sentryfuse data simulate models/mine/1 --label 3 --count 10 | "
            "sentryfuse predict models/mine/1 -",
            "curl -H 'Content-Type: application/json' -d @window.json localhost:8080/v1/infer",
            "sentryfuse data simulate models/mine/1 --count 500 --out simulated.npz",
        ),
    )(_simulate)


def _simulate(
    bundle: BundlePath,
    label: Annotated[
        str | None,
        typer.Option(help="Class to look like, by name or number. Default: drawn."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many windows.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same windows.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="Write a data set instead of JSON lines."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Draw simulated windows from the class averages that a bundle carries.

    They are not recordings: use them for demos and tests, never to judge accuracy. Without --out
    they are printed as JSON, one a line, in the form that the HTTP API takes; values that the
    sensors would not have measured are filled with the training mean there.
    """
    import numpy as np

    from sentryfuse.bundle import read_bundle
    from sentryfuse.cli.payload import write_payload
    from sentryfuse.data.simulator import SIMULATED_NOTE, WindowSimulator

    read = read_bundle(bundle)
    wanted = _class_index(label, read)
    simulator = WindowSimulator.from_arrays(read.simulator_arrays, read.spec)
    rng = np.random.default_rng(seed)
    drawn = [simulator.window(wanted, rng) for _ in range(count)]
    screen = Screen(quiet=quiet)
    screen.note(SIMULATED_NOTE)
    if out is not None:
        _save_simulated(drawn, read, out)
        screen.say(f"{out}: {count} simulated windows")
        return
    names = read.spec.task.class_names
    for index, windows in drawn:
        screen.say(write_payload(_filled(windows, read), f"simulated {names[index]}"[:128]))


def _class_index(label: str | None, bundle: Bundle) -> int | None:
    names = bundle.spec.task.class_names
    if label is None:
        return None
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    raise typer.BadParameter(
        f"no class {label!r}; there are {', '.join(names)}", param_hint="'--label'"
    )


def _filled(
    windows: Mapping[str, NDArray[np.float32]], bundle: Bundle
) -> dict[str, NDArray[np.float32]]:
    import numpy as np

    return {
        name: window
        if bundle.normalisation[name].gaps
        else np.where(
            np.isnan(window), np.array(bundle.normalisation[name].mean, np.float32), window
        )
        for name, window in windows.items()
    }


def _save_simulated(
    drawn: list[tuple[int, dict[str, NDArray[np.float32]]]], bundle: Bundle, out: Path
) -> None:
    import numpy as np

    from sentryfuse.data.simulator import SIMULATED_NOTE
    from sentryfuse.data.windows import WindowSet, save_windows

    labels = np.array([label for label, _ in drawn], dtype=np.int64)
    windows = WindowSet(
        name=out.stem,
        arrays={
            name: np.stack([windows[name] for _, windows in drawn])
            for name in bundle.spec.modality_names
        },
        label=labels,
        group=np.arange(len(labels), dtype=np.int64),
        class_names=bundle.spec.task.class_names,
        modalities=bundle.spec.modalities,
        meta={
            "dataset": SIMULATED_NOTE,
            "modalities": {
                m.name: {"rate_hz": m.rate_hz, "channels": list(m.channel_names)}
                for m in bundle.spec.modalities
            },
            "source": {"licence": bundle.licence, "citation": f"simulated, {bundle.digest}"},
        },
    )
    save_windows(windows, out)
