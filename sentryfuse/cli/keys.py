"""``sentryfuse keys``: make, list and revoke the API keys of a service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import AsJson, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from app.security import ApiKey, KeyRing

app = typer.Typer(
    help="Make, list and revoke the API keys of a service.",
    rich_markup_mode=None,
    epilog=epilog(
        "sentryfuse keys new --name gateway --scope infer --scope read --file keys.json",
        "SENTRYFUSE_API_KEYS_FILE=keys.json sentryfuse serve --host 0.0.0.0",
        "sentryfuse keys list --file keys.json",
        "sentryfuse keys revoke gateway --file keys.json",
    )
    + "\n\nA running service follows its key file: a change takes effect within about a second.",
)

KeyFile = Annotated[
    Path,
    typer.Option(
        "--file",
        metavar="FILE.json",
        envvar="SENTRYFUSE_API_KEYS_FILE",
        help="The key file. It holds hashes, no keys.",
    ),
]


@app.command(
    epilog=epilog(
        "sentryfuse keys new --name gateway --scope infer --file keys.json",
        "sentryfuse keys new --name visitor --scope read --expires-days 30 --file keys.json",
        "KEY=$(sentryfuse keys new --name ops --scope admin --scope read --file keys.json)",
    )
)
def new(
    file: KeyFile,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Who the key is for, as the log will say.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE",
            help="infer, read or admin; may be given several times. None implies another.",
        ),
    ],
    expires_days: Annotated[
        float | None,
        typer.Option(
            "--expires-days", min=0, help="Good for so many days. Default: until revoked."
        ),
    ] = None,
) -> None:
    """Make a key and print it. It is shown this once: the file keeps its hash."""
    from app.security import KeyRing, new_key
    from app.security.keyfile import edit_keys

    expires = None
    if expires_days is not None:
        expires = (datetime.now(UTC) + timedelta(days=expires_days)).replace(microsecond=0)
    secret, key = new_key(name, frozenset(scope), expires)  # type: ignore[arg-type]
    edit_keys(file, lambda ring: KeyRing((*ring.keys, key)))
    screen = Screen()
    screen.note(f"{name} is in {file}. This is the key; it can't be shown again:")
    screen.say(secret)


@app.command("list", epilog=epilog("sentryfuse keys list --file keys.json --json"))
def list_(file: KeyFile, as_json: AsJson = False) -> None:
    """List who has a key, what it is good for, and until when."""
    from app.security.keyfile import read_keys

    ring, now, screen = read_keys(file), datetime.now(UTC), Screen()
    if as_json:
        screen.json(
            [
                {
                    "name": key.name,
                    "scopes": sorted(key.scopes),
                    "expires": None if key.expires is None else key.expires.isoformat(),
                    "expired": key.expired(now),
                }
                for key in ring.keys
            ]
        )
        return
    screen.table(
        ("name", "scopes", "expires"),
        [(key.name, ", ".join(sorted(key.scopes)), _until(key, now)) for key in ring.keys],
    )


def _until(key: ApiKey, now: datetime) -> str:
    if key.expires is None:
        return "never"
    return f"{key.expires.isoformat()}{' (expired)' if key.expired(now) else ''}"


@app.command(epilog=epilog("sentryfuse keys revoke gateway --file keys.json"))
def revoke(
    file: KeyFile,
    name: Annotated[str, typer.Argument(metavar="NAME", help="See: sentryfuse keys list.")],
) -> None:
    """Take a key out of the file: from then on nobody gets in with it."""
    from app.security import KeyRing
    from app.security.keyfile import edit_keys

    def without(ring: KeyRing) -> KeyRing:
        left = tuple(key for key in ring.keys if key.name != name)
        if len(left) == len(ring.keys):
            there = ", ".join(key.name for key in ring.keys) or "none"
            raise ConfigError(f"no key is called {name!r}; there is {there}")
        return KeyRing(left)

    edit_keys(file, without)
    Screen().note(f"{name} is revoked")
