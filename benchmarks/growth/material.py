"""Models of any size with random weights, and requests for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import orjson

from loadtests.messages import infer_message
from sentryfuse.bundle import Bundle, write_bundle
from sentryfuse.presence import Presence
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec, TaskSpec
from sentryfuse.units import Inventory
from tests.bundles import random_bundle, random_windows

_CHANNELS = 9
_RATE_HZ = 25.0
_CLASSES = 19


def sized_bundle(modalities: int = 5, length: int = 125, patch: int | None = None) -> Bundle:
    """A model of the shape that is shipped, but for its number of sensors and window.

    Args:
        modalities: How many sensors.
        length: Samples in a window.
        patch: Samples in a patch; None for patches that grow with the window, at most 25 of them.
    """
    tokens = {} if patch is None else {"max_tokens": -(-length // patch)}
    return random_bundle(
        ModelSpec(
            task=TaskSpec(name="made_up", class_names=tuple(f"c{i}" for i in range(_CLASSES))),
            modalities=tuple(
                ModalitySpec(
                    name=f"sensor_{i}", length=length, channels=_CHANNELS, rate_hz=_RATE_HZ
                )
                for i in range(modalities)
            ),
            backbone=BackboneSpec(
                kind="maestro", embed_dim=96, ffn_dim=384, encoder_layers=1, **tokens
            ),
        )
    )


def write_model(bundle: Bundle, folder: Path, name: str = "model") -> str:
    """Write it where a service finds it; return its name."""
    write_bundle(bundle, folder / name / "1")
    return name


def dense_flops(bundle: Bundle) -> int:
    """FLOPs of one inference with all sensors and nothing pruned."""
    inventory, presence = Inventory(bundle.spec), bundle.spec.full_presence
    return int(inventory.cost(presence, inventory.active(presence)).flops)


def full_message(bundle: Bundle, *, model: str = "", seed: int = 0) -> bytes:
    """A request with every sensor."""
    return _message(bundle, bundle.spec.full_presence, model, seed)


def dropping_messages(
    bundle: Bundle, count: int, *, model: str = "", headers: Mapping[str, str] | None = None
) -> tuple[bytes, ...]:
    """Requests each of which has a random set of sensors, every set as likely."""
    size = len(bundle.spec.modalities)
    drawn = np.random.default_rng(0).integers(1, 2**size, size=count)
    return tuple(
        _message(bundle, Presence(int(bits), size), model, seed, headers)
        for seed, bits in enumerate(drawn)
    )


def set_messages(bundle: Bundle, count: int) -> tuple[bytes, ...]:
    """A request for each of so many different sets of sensors, in an order of chance."""
    size = len(bundle.spec.modalities)
    drawn = np.random.default_rng(0).permutation(2**size - 1)[:count] + 1
    return tuple(_message(bundle, Presence(int(bits), size), "", 0) for bits in drawn)


def _message(
    bundle: Bundle,
    presence: Presence,
    model: str,
    seed: int,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    windows = random_windows(bundle.spec, presence.names(bundle.spec.modality_names), seed=seed)
    inputs = {name: values[0].astype(float).round(3).tolist() for name, values in windows.items()}
    return infer_message(orjson.dumps({"inputs": inputs}), headers or {}, model=model)
