"""``sentryfuse predict``: ask a variant about a data set, a file or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentryfuse.cli.options import (
    AsJson,
    BundlePath,
    Present,
    Quiet,
    Ratio,
    Threads,
    epilog,
    parse_presence,
)
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import DataError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sentryfuse.data.windows import WindowSet
    from sentryfuse.presence import Presence
    from sentryfuse.spec import ModelSpec
    from sentryfuse.variants import Variant, VariantBuilder

_BATCH = 64
_TOP = 3
_PARTS = ("all", "train", "val", "test")


def predict(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "predict",
        epilog=epilog(
            "sentryfuse predict models/mine/1 my.npz --part test",
            "sentryfuse predict models/mine/1 my.npz --part test --present torso --ratio 0.8",
            "sentryfuse predict models/mine/1 window.json",
            "sentryfuse data simulate models/mine/1 --count 5 | sentryfuse predict models/mine/1 -",
        ),
    )(_predict)


def _predict(
    bundle: BundlePath,
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A data set (.npz), an object as the HTTP API takes it (.json), "
            "or - for standard input with one such object a line.",
        ),
    ],
    present: Present = None,
    ratio: Ratio = 0.0,
    part: Annotated[
        str,
        typer.Option(
            metavar="|".join(_PARTS), help="Groups of the data set's split; only for .npz."
        ),
    ] = "all",
    rows: Annotated[
        bool, typer.Option("--rows", help="Print the answer for each window of a data set.")
    ] = False,
    threads: Threads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Classify windows with the variant for what is present.

    For a data set it prints the accuracy; --rows or --json print each answer as well. JSON input
    may leave modalities out, or give null: what is absent is not computed.
    """
    from sentryfuse.bundle import read_bundle
    from sentryfuse.variants import VariantBuilder

    if part not in _PARTS:
        raise typer.BadParameter(f"must be one of {list(_PARTS)}", param_hint="'--part'")
    screen = Screen(quiet=quiet)
    model = _Model(VariantBuilder(read_bundle(bundle), threads=threads), ratio)
    wanted = parse_presence(model.spec, present)
    if source.endswith(".npz"):
        _predict_data_set(model, Path(source), wanted, part, screen, rows=rows, as_json=as_json)
        return
    for answer in _answers(model, _documents(source), wanted):
        if as_json:
            screen.say(json.dumps(answer))
        else:
            top = ", ".join(f"{c['label']} {c['probability']:.3f}" for c in answer["top"])
            screen.say(top)


class _Model:
    """Variants of one bundle at one ratio, built when they are first asked for."""

    def __init__(self, builder: VariantBuilder, ratio: float) -> None:
        self._builder = builder
        self._ratio = ratio
        self._variants: dict[Presence, Variant] = {}
        self.spec = builder.bundle.spec
        self.normalisation = builder.bundle.normalisation

    def variant(self, presence: Presence) -> Variant:
        if presence not in self._variants:
            mask = self._builder.mask(presence, self._ratio)
            self._variants[presence] = self._builder.build(mask)
        return self._variants[presence]

    def probabilities(
        self, presence: Presence, windows: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """Probability of each class, ``[batch, classes]``."""
        import numpy as np

        logits = self.variant(presence).run(windows).astype(np.float64)
        odds: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
        total: NDArray[np.float64] = odds.sum(axis=1, keepdims=True)
        return np.divide(odds, total)


def _documents(source: str) -> Iterator[tuple[str, str]]:
    """JSON texts, each with where it stood."""
    if source == "-":
        for number, line in enumerate(sys.stdin, 1):
            if line.strip():
                yield f"line {number}", line
        return
    try:
        yield source, Path(source).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; INPUT is .npz, .json or -") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read: {error}") from error


def _answers(
    model: _Model, documents: Iterable[tuple[str, str]], wanted: Presence
) -> Iterator[dict[str, Any]]:
    from sentryfuse.cli.payload import parse_payload
    from sentryfuse.presence import Presence

    names = model.spec.modality_names
    for where, text in documents:
        try:
            windows = parse_payload(text, model.spec)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        taken = [name for name in windows if names.index(name) in wanted]
        if not taken:
            raise InputError(f"{where}: none of {list(wanted.names(names))} is present")
        presence = Presence.named(taken, names)
        chosen = {name: windows[name] for name in taken}
        for row in model.probabilities(presence, chosen):
            yield _answer(row, model.spec)


def _answer(probabilities: NDArray[np.float64], spec: ModelSpec) -> dict[str, Any]:
    labels = spec.task.class_names
    best = [int(i) for i in (-probabilities).argsort(kind="stable")[:_TOP]]
    return {
        "label": labels[best[0]],
        "index": best[0],
        "probability": float(probabilities[best[0]]),
        "top": [{"label": labels[i], "probability": float(probabilities[i])} for i in best],
    }


def _predict_data_set(
    model: _Model,
    path: Path,
    presence: Presence,
    part: str,
    screen: Screen,
    *,
    rows: bool,
    as_json: bool,
) -> None:
    from sentryfuse.data.splits import recommended_split
    from sentryfuse.data.windows import load_windows

    windows = load_windows(path)
    if part != "all":
        windows = windows.of_groups(getattr(recommended_split(windows), part))
    _check_fits(windows, model.spec, presence)
    answers = []
    with screen.progress() as show:
        for start in range(0, len(windows), _BATCH):
            chosen = _batch(windows, model, presence, slice(start, start + _BATCH))
            answers += [_answer(row, model.spec) for row in model.probabilities(presence, chosen)]
            show("predict", len(answers), len(windows), "windows")
    correct = sum(a["index"] == true for a, true in zip(answers, windows.label, strict=True))
    names = [windows.class_names[int(true)] for true in windows.label]
    if as_json:
        entries = [{**a, "true": true} for a, true in zip(answers, names, strict=True)]
        accuracy = correct / len(answers)
        screen.json({"windows": len(answers), "accuracy": accuracy, "predictions": entries})
        return
    if rows:
        cells = [(a["label"], f"{a['probability']:.3f}") for a in answers]
        screen.table(
            ("window", "predicted", "probability", "true"),
            [(str(i), *c, t) for i, (c, t) in enumerate(zip(cells, names, strict=True))],
        )
    screen.say(f"accuracy {correct / len(answers):.4f} ({correct} of {len(answers)} windows)")


def _check_fits(windows: WindowSet, spec: ModelSpec, presence: Presence) -> None:
    """Refuse a data set whose windows or classes are not the model's."""
    found = {m.name: (m.length, m.channels) for m in windows.modalities}
    for index in presence:
        modality = spec.modalities[index]
        expected = (modality.length, modality.channels)
        if modality.name not in found:
            raise DataError(
                f"{windows.name} lacks modality {modality.name!r}; it has {sorted(found)} "
                "(leave it out with --present)"
            )
        if found[modality.name] != expected:
            raise DataError(
                f"windows of {modality.name} must be {list(expected)}, "
                f"{windows.name} has {list(found[modality.name])}"
            )
    if windows.class_names != spec.task.class_names:
        raise DataError(
            f"{windows.name} has the classes {list(windows.class_names)[:8]}, "
            f"the model {list(spec.task.class_names)[:8]}"
        )


def _batch(
    windows: WindowSet, model: _Model, presence: Presence, rows: slice
) -> dict[str, NDArray[np.float32]]:
    """Raw windows; what was not measured is NaN or the training mean, as in training."""
    import numpy as np

    chosen = {}
    for name in presence.names(model.spec.modality_names):
        raw = windows.arrays[name][rows].astype(np.float32)
        normalisation = model.normalisation[name]
        absent = np.nan if normalisation.gaps else np.asarray(normalisation.mean)
        chosen[name] = np.where(np.isfinite(raw), raw, absent).astype(np.float32)
    return chosen
