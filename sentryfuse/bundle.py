"""A bundle: one trained model as a directory that proves it is whole.

``manifest.json`` holds the spec, normalisation, accuracy table, licence and training record,
and the SHA-256 of every other file; the bundle's digest is the SHA-256 of all that. Arrays are
safetensors, never pickles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.errors import BundleError, ConfigError
from sentryfuse.gate import Gate
from sentryfuse.spec import ModelSpec, Normalisation

SCHEMA = "sentryfuse-bundle/1"
Arrays = dict[str, NDArray[np.float32]]

_MANIFEST = "manifest.json"
# The gate's scores only rank units, and its output layer is as wide as there are units: half
# precision halves what would otherwise be a twentieth of the bundle.
_ARRAY_FILES: Mapping[str, type[np.floating]] = {
    "weights.safetensors": np.float32,
    "gate.safetensors": np.float16,
    "simulator.safetensors": np.float32,
}
# A manifest is small; refusing to read a huge one keeps a hostile file from filling memory.
_MAX_MANIFEST_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained model, ready to be pruned.

    ``digest`` is filled in by :func:`read_bundle` and :func:`write_bundle`.
    """

    spec: ModelSpec
    normalisation: Mapping[str, Normalisation]
    weights: Arrays
    gate_arrays: Arrays
    simulator_arrays: Arrays
    """A small generator of simulated windows for demos; see ``sentryfuse.data.simulator``."""
    accuracy: AccuracyTable
    licence: str
    """Licence and attribution of the training data."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """How the model was made: command, commit, seed, settings, data, scores."""
    digest: str = ""

    @property
    def gate(self) -> Gate:
        """The trained gate."""
        return Gate.from_arrays(self.gate_arrays)


def write_bundle(bundle: Bundle, path: Path) -> str:
    """Write a bundle into a directory (made if needed) and return its digest.

    The gate is stored in half precision: round it before anything is measured with it.

    Raises:
        BundleError: The accuracy table is not the one measured.
    """
    if bundle.accuracy.pooled:
        raise BundleError(f"{path}: a bundle holds the accuracy measured, not the smoothed table")
    path.mkdir(parents=True, exist_ok=True)
    files = {}
    arrays = (bundle.weights, bundle.gate_arrays, bundle.simulator_arrays)
    for (name, dtype), content in zip(_ARRAY_FILES.items(), arrays, strict=True):
        data = save({k: np.ascontiguousarray(v, dtype=dtype) for k, v in content.items()})
        (path / name).write_bytes(data)
        files[name] = sha256(data).hexdigest()
    body = {
        "schema": SCHEMA,
        "spec": bundle.spec.to_json(),
        "normalisation": {
            name: {"mean": list(n.mean), "std": list(n.std)}
            for name, n in bundle.normalisation.items()
        },
        "accuracy": {
            "permilles": list(bundle.accuracy.permilles),
            "rows": {str(bits): list(row) for bits, row in bundle.accuracy.rows.items()},
        },
        "licence": bundle.licence,
        "training": dict(bundle.training),
        "files": files,
    }
    digest = _digest(body)
    text = json.dumps({**body, "digest": digest}, indent=1, sort_keys=True)
    (path / _MANIFEST).write_text(text + "\n", encoding="utf-8")
    return digest


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: It is missing, damaged, foreign or of another schema; the message says which.
    """
    manifest = _read_manifest(path / _MANIFEST)
    stated = manifest.pop("digest", None)
    if _digest(manifest) != stated:
        raise BundleError(f"{path}: manifest was changed after the bundle was written")
    try:
        arrays = [_read_arrays(path / name, manifest["files"][name]) for name in _ARRAY_FILES]
        spec = ModelSpec.from_json(manifest["spec"])
        gaps = {m.name: m.gaps for m in spec.modalities}
        bundle = Bundle(
            spec=spec,
            normalisation={
                name: Normalisation(tuple(n["mean"]), tuple(n["std"]), gaps=gaps.get(name, False))
                for name, n in manifest["normalisation"].items()
            },
            weights=arrays[0],
            gate_arrays=arrays[1],
            simulator_arrays=arrays[2],
            accuracy=AccuracyTable(
                tuple(manifest["accuracy"]["permilles"]),
                {int(b): tuple(row) for b, row in manifest["accuracy"]["rows"].items()},
            ),
            licence=manifest["licence"],
            training=manifest["training"],
            digest=stated,
        )
        _check_consistent(bundle)
    except (KeyError, TypeError, AttributeError, ConfigError, ValueError) as error:
        raise BundleError(f"{path}: manifest is not usable: {error}") from error
    return bundle


def _check_consistent(bundle: Bundle) -> None:
    names = set(bundle.spec.modality_names)
    if set(bundle.normalisation) != names:
        raise ConfigError(
            f"normalisation names {sorted(bundle.normalisation)}, not {sorted(names)}"
        )
    for modality in bundle.spec.modalities:
        normalisation = bundle.normalisation[modality.name]
        widths = {len(normalisation.mean), len(normalisation.std)}
        if widths != {modality.channels}:
            raise ConfigError(f"normalisation of {modality.name} is not {modality.channels} wide")
    if bundle.gate.num_modalities != len(names):
        raise ConfigError(f"gate reads {bundle.gate.num_modalities} modalities, not {len(names)}")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise BundleError(f"{path}: larger than {_MAX_MANIFEST_BYTES} bytes")
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is not a bundle: it has no {_MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise BundleError(f"{path}: schema must be {SCHEMA!r}, got {schema!r}")
    return dict(manifest)


def _read_arrays(path: Path, expected: str) -> Arrays:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error}") from error
    if sha256(data).hexdigest() != expected:
        raise BundleError(f"{path}: damaged: its SHA-256 is not the manifest's")
    try:
        return {name: array.astype(np.float32) for name, array in load(data).items()}
    except SafetensorError as error:
        raise BundleError(f"{path}: not a safetensors file: {error}") from error


def _digest(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()
