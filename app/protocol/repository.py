"""What the calls of the model repository extension may say beside a model's name."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import WrongFieldError
from app.protocol import diagnosis


def version_to_load(parameters: Mapping[str, object]) -> str | None:
    """Return the version that a call to load names; None for the newest ones.

    Raises:
        WrongFieldError: A parameter has no usable value, is unknown, or would bring files along.
    """
    _check_known(parameters, ("version",))
    return _version(parameters)


def version_to_unload(parameters: Mapping[str, object]) -> str | None:
    """Return the version that a call to unload names; None for all.

    Raises:
        WrongFieldError: A parameter has no usable value, or is unknown.
    """
    _check_known(parameters, ("version", "unload_dependents"))
    dependents = parameters.get("unload_dependents", False)
    if not isinstance(dependents, bool):  # read and ignored: no model has any
        raise _wrong("unload_dependents", "be true or false", dependents)
    return _version(parameters)


def _check_known(parameters: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in parameters:
        if name == "config" or name.startswith("file:"):
            raise WrongFieldError(
                f"parameters: {diagnosis.shorten(name)} can't be sent along: what is served is "
                "what the directory of models holds",
                field="parameters",
            )
        if name not in known:
            raise WrongFieldError(
                f"parameters: no {diagnosis.shorten(name)}; there is {', '.join(known)}",
                field="parameters",
            )


def _version(parameters: Mapping[str, object]) -> str | None:
    version = parameters.get("version")
    if version is not None and not isinstance(version, str):
        raise _wrong("version", "be a string", version)
    return version


def _wrong(field: str, must: str, value: object) -> WrongFieldError:
    return WrongFieldError(f"{field} must {must}, got {diagnosis.kind(value)}", field=field)
