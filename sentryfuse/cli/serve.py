"""``sentryfuse serve``: start the HTTP service."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from sentryfuse.cli.options import epilog
from sentryfuse.cli.screen import Screen


def serve(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "serve",
        add_help_option=False,
        epilog=epilog(
            "sentryfuse serve",
            "sentryfuse serve --port 8080 --models models",
            "SENTRYFUSE_POWER_CAP_W=12 SENTRYFUSE_REDIS_URL=redis://cache:6379/0 sentryfuse serve",
        ),
    )(_serve)


def _show_help(context: typer.Context, wanted: bool) -> None:
    """Show the options, then every setting, taken from the service's own settings."""
    if not wanted or context.resilient_parsing:
        return
    from app.settings import ENV_PREFIX, Settings

    text = context.get_help()
    if text:
        typer.echo(text)
    typer.echo("\nSettings are read from the environment; the options above win over them.")
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        rows.append((ENV_PREFIX + name.upper(), field.description or "", _shown(default)))
    Screen().table(("variable", "meaning", "default"), rows)
    raise typer.Exit


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(f"{value:g}" for value in default)
    home = str(Path.home())
    return str(default).replace(home, "~") if isinstance(default, Path) else str(default)


def _serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. Default: SENTRYFUSE_HOST.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="TCP port to listen on; 0 takes a free one. Default: SENTRYFUSE_PORT.",
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Directory of bundles, as NAME/VERSION/. Default: SENTRYFUSE_MODELS.",
        ),
    ] = None,
    show_help: Annotated[
        bool,
        typer.Option(
            "--help",
            "-h",
            is_eager=True,
            callback=_show_help,
            help="Show this message and every setting.",
        ),
    ] = False,
) -> None:
    """Serve bundles over HTTP until SIGTERM or Ctrl-C.

    Every bundle below the models directory is served. The page /docs of the running service
    shows the API with examples that can be tried.
    """
    # What is imported stays: no garbage is looked for in it, here already (see app.server).
    gc.disable()
    from app.server import serve as run
    from app.settings import load_settings

    given = {"host": host, "port": port, "models": models}
    run(load_settings(**{name: value for name, value in given.items() if value is not None}))
