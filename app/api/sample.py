"""A simulated window, ready to be posted: for README, documentation and playground."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.errors import NoSimulatorError, WrongFieldError
from app.protocol import diagnosis
from sentryfuse.bundle import Bundle
from sentryfuse.data.simulator import SIMULATED_NOTE, WindowSimulator
from sentryfuse.errors import ConfigError

_DECIMALS = 3


def sample_json(bundle: Bundle, *, label: str | None, missing: str, seed: int) -> dict[str, Any]:
    """Draw a window of every modality but those missing, as an inference request.

    Args:
        bundle: Holds the generator.
        label: Name of the class to look like; None draws one.
        missing: Names of modalities to send as null, separated by commas.
        seed: The same seed gives the same window.

    Raises:
        NoSimulatorError: The bundle holds no generator.
        WrongFieldError: No such class or modality, or nothing is left.
    """
    if not bundle.simulator_arrays:
        raise NoSimulatorError("this model's bundle holds no generator of simulated windows")
    left_out = [name.strip() for name in missing.split(",") if name.strip()]
    for name in left_out:
        if name not in bundle.spec.modality_names:
            raise WrongFieldError(
                f"missing: no modality {diagnosis.shorten(name)}", field="missing"
            )
    if set(left_out) == set(bundle.spec.modality_names):
        raise WrongFieldError("missing: at least one modality must be left", field="missing")
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    try:
        index, windows = simulator.window(_class(bundle, label), np.random.default_rng(seed))
    except ConfigError as error:
        raise WrongFieldError(f"label: {error}", field="label") from None
    drawn = bundle.spec.task.class_names[index]
    return {
        "id": f"simulated-{seed}",
        "simulated": True,
        "note": SIMULATED_NOTE,
        "label": drawn,
        "inputs": {
            name: None if name in left_out else _rows(bundle, name, window)
            for name, window in windows.items()
        },
    }


def _class(bundle: Bundle, label: str | None) -> int | None:
    names = bundle.spec.task.class_names
    if label is None:
        return None
    if label not in names:
        raise WrongFieldError(
            f"label: no class {diagnosis.shorten(label)}; there is {', '.join(names)}",
            field="label",
        )
    return names.index(label)


def _rows(bundle: Bundle, name: str, window: np.ndarray[Any, Any]) -> list[list[float | None]]:
    """Numbers for JSON: what is not measured is null, or the mean if the model knows no gaps."""
    normalisation = bundle.normalisation[name]
    missing = np.isnan(window)
    filled = np.where(missing, np.asarray(normalisation.mean), window)
    numbers = filled.astype(np.float64).round(_DECIMALS)
    rows: list[list[float | None]] = (
        np.where(missing, None, numbers) if normalisation.gaps else numbers  # type: ignore[call-overload]
    ).tolist()
    return rows
