"""What can go wrong, as exceptions; those the service raised say so in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the service said when it answered with an error."""

    status: int
    type: str = "about:blank"
    """Stable identifier of the problem (RFC 9457); ``about:blank`` if it gave none."""
    request_id: str | None = None
    retry_after_s: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Everything else in the answer, for programs."""


class ClientError(Exception):
    """Base of all errors of this client.

    Args:
        message: For people.
        refusal: What the service said; None if the error arose on this side.
    """

    def __init__(self, message: str, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal

    @property
    def status(self) -> int | None:
        """HTTP status of the answer, if there was one."""
        return self.refusal.status if self.refusal else None

    @property
    def request_id(self) -> str | None:
        """What the service's log calls the request."""
        return self.refusal.request_id if self.refusal else None

    def _text(self, name: str) -> str | None:
        """A member of the answer, if it is there and text."""
        value = self.refusal.facts.get(name) if self.refusal else None
        return value if isinstance(value, str) else None

    def _number(self, *names: str) -> float | None:
        """The first of these members that is there and a number."""
        facts = self.refusal.facts if self.refusal else {}
        found = (facts[name] for name in names if isinstance(facts.get(name), int | float))
        return next(found, None)


class ConnectionFailedError(ClientError, ConnectionError):
    """The service could not be reached, or went away before it had answered."""


class DeadlineError(ClientError, TimeoutError):
    """Time ran out: the deadline here, or at the service, for a strict budget or a slow sender."""


class StreamClosedError(ClientError):
    """The service closed a stream.

    Args:
        code: Of the close: 1001 if the service stops, 1008 if a limit was broken, and so on.
        reason: In the service's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the service closed the stream: {reason or 'no reason given'} ({code})")
        self.code = code
        self.reason = reason


class ProtocolError(ClientError):
    """The answer is not what this client understands; perhaps not from SentryFuse at all."""


class MalformedError(ClientError):
    """The service could not read the request (400)."""


class HeaderError(MalformedError):
    """A budget makes no sense (400)."""

    @property
    def header(self) -> str | None:
        """Name of the header that carried it."""
        return self._text("header")


class UnauthorisedError(ClientError):
    """The API key is missing, wrong or no longer valid (401)."""


class ForbiddenError(ClientError):
    """The API key is good, but not for this operation (403)."""

    @property
    def scope(self) -> str | None:
        """The scope that it lacks: infer, read or admin."""
        return self._text("scope")


class NotFoundError(ClientError):
    """No such model, version or page (404)."""


class TooLargeError(ClientError):
    """Body, address or headers are larger than the service reads (413, 414, 431)."""

    @property
    def limit_bytes(self) -> float | None:
        """The most that it reads."""
        return self._number("limit_bytes")


class UnsupportedError(ClientError):
    """The service does not read this kind of body (415) or know this method (405)."""


class WrongInputError(ClientError, ValueError):
    """The sensor data do not fit the model (422)."""

    def __init__(
        self, message: str, refusal: Refusal | None = None, *, modality: str | None = None
    ) -> None:
        super().__init__(message, refusal)
        self.modality: str | None = modality or self._text("modality")
        """The sensor in question; None if it is about all of them."""

    @property
    def expected(self) -> str | None:
        """What the model takes."""
        return self._text("expected")

    @property
    def received(self) -> str | None:
        """What came."""
        return self._text("received")


class WrongFieldError(ClientError, ValueError):
    """An argument other than the sensor data has no usable value (422)."""

    @property
    def field(self) -> str | None:
        """Its name in the request."""
        return self._text("field")


class BudgetError(ClientError):
    """A strict budget that even an idle machine can't meet (422)."""

    @property
    def budget(self) -> str | None:
        """Which one: latency, energy, power or accuracy."""
        return self._text("budget")

    @property
    def asked(self) -> float | None:
        """What was asked, in ms, mJ, W, or as a fraction for an accuracy floor."""
        return self._amount("asked")

    @property
    def least_possible(self) -> float | None:
        """The least it could be, in the same unit; for an accuracy floor the most."""
        return self._amount("most_possible" if self.budget == "accuracy" else "least_possible")

    def _amount(self, name: str) -> float | None:
        return self._number(name, f"{name}_ms", f"{name}_mj", f"{name}_w")


class UnusableModelError(ClientError):
    """A stored model can't be served; what was served before still is (422)."""


class UnavailableError(ClientError):
    """Not now; perhaps later."""

    @property
    def retry_after_s(self) -> float | None:
        """When it is worth trying again, if the service said so."""
        return self.refusal.retry_after_s if self.refusal else None


class OverloadedError(UnavailableError):
    """The service is too busy for this request (429), or for one more connection (503)."""

    @property
    def reason(self) -> str | None:
        """Why, from a closed set: queue_full, busy, power_cap, rate_limited and so on."""
        return self._text("reason")


class NotReadyError(UnavailableError):
    """The service is starting, draining, or has no variant for its power cap (503)."""


class ServiceError(ClientError):
    """A fault of the service (5xx); its log has the details under ``request_id``."""
