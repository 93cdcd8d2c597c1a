"""Who is let in, and how often: one decision for every protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.errors import ShedError, UnauthorisedError
from app.security.address import caller_of, client_address
from app.security.guard import Guard, presented_key
from app.security.rate import RateLimiter
from app.security.scopes import Scope


class Admission:
    """Lets in who has a key that is good for what is asked, and does not ask too often.

    Args:
        guard: Knows the keys.
        rates: How often each caller may ask; None for as often as it likes.
        on_shed: Told of each request that came too soon.
        trusted_proxies: How many proxies of ours every request passes.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        guard: Guard,
        rates: RateLimiter | None,
        *,
        on_shed: Callable[[], None],
        trusted_proxies: int,
        clock: Callable[[], float],
    ) -> None:
        self._guard = guard
        self._rates = rates
        self._on_shed = on_shed
        self._trusted_proxies = trusted_proxies
        self._clock = clock

    @property
    def open(self) -> bool:
        """Whether everybody may ask for everything as often as they like."""
        return self._guard.ring is None and self._rates is None

    def admit(self, headers: Iterable[tuple[bytes, bytes]], needed: Scope, peer: str) -> str:
        """Let one request in; return the name of its key, empty where no keys are asked for.

        Args:
            headers: Of the request, names in lower case.
            needed: What its key has to be good for.
            peer: Address of who opened the connection.

        Raises:
            UnauthorisedError: No key, or none of ours.
            ForbiddenError: The key is not good for this.
            ShedError: Its caller asks too often.
        """
        try:
            principal = self._guard.check(presented_key(headers), needed)
        except UnauthorisedError:
            self._check_rate(self._caller(headers, peer))  # guessing is asking, too
            raise
        name = principal.name
        self._check_rate(f"key {name}" if name else self._caller(headers, peer))
        return name

    def _check_rate(self, caller: str) -> None:
        if self._rates is None:
            return
        wait_s = self._rates.take(caller, self._clock())
        if wait_s:
            self._on_shed()
            raise ShedError(
                "more requests than the rate limit allows",
                reason="rate_limited",
                retry_after_s=wait_s,
            )

    def _caller(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> str:
        return caller_of(client_address(peer, headers, trusted_proxies=self._trusted_proxies))
