"""Check KServe's resources with KServe's own models: JSON objects in, a list of complaints out.

Runs in .venv-kserve/, outside the tests' environment.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# Its models alone: the package itself brings a server and pandas along, seconds of imports.
_package = ModuleType("kserve")
_package.__path__ = list(find_spec("kserve").submodule_search_locations)
sys.modules["kserve"] = _package
from kserve import models as kserve  # noqa: E402
from kubernetes.client import models as kubernetes  # noqa: E402

PLAIN = {"str": str, "int": int, "float": float, "bool": bool, "object": object}


def model_of(kind: str) -> Any:
    return getattr(kserve, kind, None) or getattr(kubernetes, kind)


def complaints(kind: str, value: Any, where: str) -> Iterator[str]:
    """Fields that the model does not have, or has otherwise."""
    if several := re.fullmatch(r"(list\[|dict\(str, |dict\[str, )(.+)[\])]", kind, re.I):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            yield from complaints(several[2], entry, f"{where}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) and not (kind == "float" and type(value) is int):
            yield f"{where}: {kind} expected, got {value!r}"
    elif kind not in {"datetime", "IntOrString", "ResourceQuantity"}:
        model = model_of(kind)
        fields = {name: field for field, name in model.attribute_map.items()}
        for name, entry in value.items():
            if name not in fields:
                yield f"{where}: no field {name}"
            else:
                yield from complaints(model.openapi_types[fields[name]], entry, f"{where}.{name}")
        try:
            model(**{fields[name]: entry for name, entry in value.items() if name in fields})
        except ValueError as error:  # something that must be there is not
            yield f"{where}: {error}"


def main() -> None:
    kinds = {
        "ServingRuntime": "V1alpha1ServingRuntime",
        "InferenceService": "V1beta1InferenceService",
    }
    found = json.load(sys.stdin)
    print(json.dumps([[*complaints(kinds[o["kind"]], o, o["kind"])] for o in found]))


if __name__ == "__main__":
    main()
