"""What may befall a Redis while a service uses it, and how each ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis

from loadtests.redis_server import RedisServer
from loadtests.slow_relay import SlowRelay

MASKS = "sentryfuse:1:*:mask:*"
_OTHER_RELEASE = "sentryfuse:2:"
_OTHER_KEYS = 2000
_VERSION_AT = 4  # in a mask's header


@dataclass(frozen=True, slots=True)
class Stage:
    """A Redis that something may befall; the service reaches it through the relay."""

    server: RedisServer
    relay: SlowRelay

    def masks(self) -> Iterator[bytes]:
        """Keys of all masks."""
        with self.server.client() as client:
            yield from client.scan_iter(MASKS, count=1000)

    def configure(self, **options: str) -> None:
        """Set options of the running server."""
        with self.server.client() as client:
            for name, value in options.items():
                client.config_set(name.replace("_", "-"), value)

    def forget(self) -> None:
        """Drop everything it holds."""
        with self.server.client() as client:
            client.flushall()

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Put something else in the place of every mask."""
        with self.server.client() as client:
            for key in self.masks():
                value = client.get(key)
                if isinstance(value, bytes):
                    client.set(key, change(value))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that befalls a Redis, and its end."""

    name: str
    strike: Callable[[Stage], None]
    end: Callable[[Stage], None]
    """Makes Redis well again, if it does not get so by itself."""


def _vanish(stage: Stage) -> None:
    stage.server.kill()
    stage.relay.vanish()


def _appear(stage: Stage) -> None:
    stage.server.start()
    stage.relay.listen()


def _pause(stage: Stage) -> None:
    stage.server.pause()


def _resume(stage: Stage) -> None:
    stage.server.resume()


def _delay(seconds: float) -> Callable[[Stage], None]:
    def strike(stage: Stage) -> None:
        stage.relay.delay_s = seconds

    return strike


def _fill(stage: Stage) -> None:
    stage.forget()
    stage.configure(maxmemory_policy="noeviction", maxmemory="1")


def _make_room(stage: Stage) -> None:
    stage.configure(maxmemory="0")


def _follow(stage: Stage) -> None:
    """Become the read-only replica of a server that is gone, with nothing in it."""
    stage.forget()
    with stage.server.client() as client:
        client.replicaof("127.0.0.1", 1)


def _lead(stage: Stage) -> None:
    with stage.server.client() as client:
        client.replicaof("NO", "ONE")


def _nothing(stage: Stage) -> None:
    pass


def _change_password(stage: Stage) -> None:
    with stage.server.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)


def _restore_password(stage: Stage) -> None:
    with redis.Redis(port=stage.server.port, password="another", socket_timeout=10) as client:
        client.config_set("requirepass", stage.server.password or "")


def _corrupt(stage: Stage) -> None:
    stage.rewrite(lambda value: value[:-1] + bytes([value[-1] ^ 0x5A]))


def _swap(stage: Stage) -> None:
    """Let every mask change places with another one."""
    keys = sorted(stage.masks())
    with stage.server.client() as client:
        values = client.mget(keys) if keys else []
        pairs = zip(keys, [*values[1:], *values[:1]], strict=True)
        for key, value in pairs:
            if isinstance(value, bytes):
                client.set(key, value)


def _renew(stage: Stage) -> None:
    """Pretend that a newer release wrote everything."""
    stage.rewrite(lambda v: v[:_VERSION_AT] + b"\x7f" + v[_VERSION_AT + 1 :])


def _move_in(stage: Stage) -> None:
    """Let another release keep many keys of its own in the same Redis."""
    with stage.server.client() as client, client.pipeline(transaction=False) as pipe:
        for key in stage.masks():
            pipe.set(key.replace(b"sentryfuse:1:", _OTHER_RELEASE.encode()), b"another form")
        for i in range(_OTHER_KEYS):
            pipe.set(f"{_OTHER_RELEASE}{i}", b"x" * 500)
        pipe.execute()


def _move_out(stage: Stage) -> None:
    with stage.server.client() as client:
        theirs = list(client.scan_iter(f"{_OTHER_RELEASE}*", count=1000))
        if len(theirs) < _OTHER_KEYS:
            raise AssertionError(f"{_OTHER_KEYS - len(theirs)} keys of another release are gone")
        client.delete(*theirs)


FAULTS = (
    Fault("killed", _vanish, _appear),
    Fault("paused", _pause, _resume),
    Fault("slow", _delay(0.1), _delay(0.0)),
    Fault("sluggish", _delay(0.012), _delay(0.0)),
    Fault("out-of-memory", _fill, _make_room),
    Fault("read-only", _follow, _lead),
    Fault("flushed", Stage.forget, _nothing),
    Fault("wrong-password", _change_password, _restore_password),
    Fault("corrupted", _corrupt, _nothing),
    Fault("swapped", _swap, _nothing),
    Fault("newer-schema", _renew, Stage.forget),
    Fault("other-release", _move_in, _move_out),
)
"""``absent at start`` is beside these: it needs a service that starts without Redis."""

ABSENT = Fault("absent-at-start", _vanish, _appear)
