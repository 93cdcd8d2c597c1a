"""What can go wrong with a request, as facts; `app.api.errors` gives each its status."""

from __future__ import annotations

from collections.abc import Mapping

from sentryfuse.errors import InputError, SentryFuseError


class RequestError(SentryFuseError):
    """A request that can't be answered as asked.

    Args:
        message: One sentence for people.
        facts: What a program needs to know, as JSON values.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts: Mapping[str, object] = facts


class MalformedError(RequestError):
    """The body is not what its content type says it is."""


class TooDeepError(RequestError):
    """The body is JSON, nested beyond all need."""


class HeaderError(MalformedError):
    """A header that carries a budget does not parse; ``facts["header"]`` names it."""


class WrongInputError(RequestError, InputError):
    """The sensor data do not fit the model; says what was expected and what came."""

    def __init__(
        self, message: str, *, expected: str, received: str, modality: str | None = None
    ) -> None:
        names = {} if modality is None else {"modality": modality}
        super().__init__(message, **names, expected=expected, received=received)


class WrongFieldError(RequestError):
    """A field of a request other than the sensor data has no usable value."""


class UnknownModelError(RequestError):
    """No such model is served."""


class UnknownServiceError(RequestError):
    """A health check asks about a service that there is not."""


class UnusableModelError(RequestError):
    """A stored model can't be served; what was served before still is."""


class NoSimulatorError(RequestError):
    """The model's bundle holds no generator of simulated windows."""


class UnauthorisedError(RequestError):
    """The request carries no key, or none that is good here."""


class ForbiddenError(RequestError):
    """The request's key is not good for this; ``facts["scope"]`` is the scope it would need."""


class BodyTooLargeError(RequestError):
    """The body is larger than the limit, which ``facts["limit_bytes"]`` states."""


class UrlTooLongError(RequestError):
    """The URL is longer than the limit, which ``facts["limit_bytes"]`` states."""


class HeadTooLargeError(RequestError):
    """There are more headers than the limits allow, which ``facts`` state."""


class TooSlowError(RequestError):
    """The request did not come in time; ``facts["limit_s"]`` states the limit."""


class UnsupportedMediaError(RequestError):
    """The body is of a type that is not read here."""


class BudgetError(RequestError):
    """A strict budget that even an idle machine can't meet; says the least that it could be."""


class DeadlineError(RequestError):
    """A strict latency budget ran out before the inference could start."""


class UnavailableError(RequestError):
    """Try again later.

    Args:
        message: One sentence for people.
        retry_after_s: When it is worth trying again.
        facts: What a program needs to know, as JSON values.
    """

    def __init__(self, message: str, *, retry_after_s: float, **facts: object) -> None:
        super().__init__(message, **facts)
        self.retry_after_s = retry_after_s


class TooManyConnectionsError(UnavailableError):
    """The service, or one address, holds as many connections as it may."""


class NotReadyError(UnavailableError):
    """The service is still getting ready, or has begun to stop."""


class ShedError(UnavailableError):
    """The node is too busy for this request.

    Args:
        message: One sentence for people.
        reason: Closed set, for metrics: rate_limited, queue_full, queue_timeout, power_cap, power,
            busy.
        retry_after_s: When it is worth trying again.
    """

    def __init__(self, message: str, *, reason: str, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=retry_after_s, reason=reason)
        self.reason = reason


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""
