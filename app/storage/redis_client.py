"""The redis package as we use it; imported only where a Redis is configured."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    InvalidResponse,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.storage.redis_access import RedisAccess
from app.storage.redis_failure import Failure
from app.storage.tls import TlsClient
from sentryfuse.errors import ConfigError


def open_pool(
    access: RedisAccess,
    *,
    wait_s: float,
    socket_s: float,
    connect_s: float,
    max_connections: int,
) -> BlockingConnectionPool:
    """Prepare connections; nothing is sent before the first command.

    Args:
        access: Where to, and who we are.
        wait_s: Longest wait for a free connection.
        socket_s: Longest wait for a part of an answer.
        connect_s: Longest time to connect, TLS included.
        max_connections: At once.

    Raises:
        ConfigError: The URL makes no sense, or a file can't be used.
    """
    options = _url_options(access.url)
    # Ours come last: what the URL's query says of them does not count.
    options |= {
        "socket_timeout": socket_s,
        "socket_connect_timeout": connect_s,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": max_connections,
        "timeout": wait_s,
        "decode_responses": False,
        "protocol": 2,
        "driver_info": None,  # saves two commands, and a permission, at every connection
        **_credentials(access, options),
    }
    if options.get("connection_class") is SSLConnection:
        tls = TlsClient(
            ca_file=access.ca_file, cert_file=access.cert_file, key_file=access.key_file
        )
        options |= {"connection_class": _TlsConnection, "tls": tls}
        options["server_name"] = access.server_name
    try:
        pool = BlockingConnectionPool(**options)
        pool.connection_class(**pool.connection_kwargs)  # refuses options it does not know
    except (ValueError, TypeError):
        raise _senseless() from None
    return pool


def failure_of(error: BaseException) -> Failure:
    """Say why a command got no usable answer."""
    if isinstance(error, ResponseError):
        return "refused"
    if isinstance(error, AuthenticationError | AuthorizationError):
        return "authentication"
    chain = tuple(_chain(error))
    if any(isinstance(e, ssl.SSLError) for e in chain):
        return "tls"
    if any(isinstance(e, TimeoutError | RedisTimeoutError) for e in chain):
        return "timeout"
    if isinstance(error, InvalidResponse) or not isinstance(error, RedisConnectionError | OSError):
        return "protocol"
    return "unreachable"


class _TlsConnection(SSLConnection):
    """Verifies by our own context; the package's would trust the system beside a given CA."""

    def __init__(self, *, tls: TlsClient, server_name: str | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls
        self._server_name = server_name

    def _connection_arguments(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "port": self.port,
            "ssl": self._tls.context(),
            "server_hostname": self._server_name or self.host,
        }


class _PasswordFile(CredentialProvider):
    """Reads the password for every connection: a mounted secret may have been replaced."""

    def __init__(self, path: Path, username: str | None) -> None:
        self._path = path
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._path.read_text(encoding="utf-8").rstrip("\r\n")
        if not password:
            raise ValueError(f"{self._path} is empty")
        return (password,) if self._username is None else (self._username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def _url_options(url: str) -> dict[str, Any]:
    try:
        options: dict[str, Any] = dict(parse_url(url))
    except (ValueError, TypeError):
        raise _senseless() from None
    by_query = sorted(name for name in options if name.startswith("ssl"))
    if by_query:
        raise ConfigError(
            f"the Redis URL must not say {', '.join(by_query)}: TLS is set by "
            "SENTRYFUSE_REDIS_CA_FILE, _CERT_FILE, _KEY_FILE and _SERVER_NAME"
        )
    return options


def _credentials(access: RedisAccess, options: dict[str, Any]) -> dict[str, Any]:
    """Take name and password from the URL, the settings and the file, each from one place."""
    in_url = options.pop("username", None)
    if in_url is not None and access.username is not None:
        raise ConfigError("the user of Redis is in the URL and in SENTRYFUSE_REDIS_USERNAME")
    username = in_url if access.username is None else access.username
    if access.password_file is None:
        return {"username": username}
    if options.pop("password", None) is not None:
        raise ConfigError("the password of Redis is in the URL and in a file")
    provider = _PasswordFile(access.password_file, username)
    try:
        provider.get_credentials()
    except (OSError, ValueError) as error:
        raise ConfigError(f"the password file of Redis can't be read: {error}") from error
    return {"credential_provider": provider}


def _senseless() -> ConfigError:
    # Neither the URL nor the parser's words are repeated: they may hold a password.
    return ConfigError(
        "the Redis URL makes no sense: it must be redis://[user:password@]host[:port][/db], "
        "rediss://... or unix://path, special characters in the password percent-encoded, "
        "with no option that redis-py does not know"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__
