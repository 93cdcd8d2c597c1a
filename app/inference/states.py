"""In which state a version of a model is, in the words of the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.inference.model import ServedModel

State = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version of a model, stored or served."""

    name: str
    version: str
    state: State
    reason: str = ""
    """Why it is not served, or why what is stored now is not what is served."""


def state_of(
    identity: tuple[str, str],
    *,
    served: ServedModel | None,
    loading: bool,
    leaving: bool,
    reason: str,
) -> VersionState:
    """Say in which state a version is.

    Args:
        identity: Name and version.
        served: What is served under it.
        loading: Whether it is being made ready.
        leaving: Whether a model of this identity still finishes requests.
        reason: Why it could not be loaded last time, or was unloaded.
    """
    if served is not None and served.warm:
        return VersionState(*identity, "READY", reason)
    if served is not None or loading:
        return VersionState(*identity, "LOADING")
    if leaving:
        return VersionState(*identity, "UNLOADING", reason)
    return VersionState(*identity, "UNAVAILABLE", reason or "not loaded")
