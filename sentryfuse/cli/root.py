"""The command tree, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from sentryfuse.cli.options import epilog
from sentryfuse.errors import SentryFuseError

FAILURE = 1
USAGE = 2
INTERRUPTED = 130

_COMMANDS = ("train", "build", "inspect", "profile", "predict", "serve", "meter")
_GROUPS = ("data", "bench", "keys")
_ALL = (*_COMMANDS, *_GROUPS)

# typer's base of usage errors; newer versions bring their own copy of click, so it is found here
# rather than imported.
_UsageErrors: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sentryfuse {version('sentryfuse')}")
        raise typer.Exit


def sentryfuse(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Show log records and, after an error, the traceback. May stand anywhere.",
        ),
    ] = False,
) -> None:
    """Multimodal inference that fits the sensors that are alive and the budget you have.

    Train a bundle on your own sensor data, look at what its pruned variants cost, ask one for an
    answer, or serve them all over HTTP.
    """


def tree(names: Sequence[str] = _ALL) -> typer.Typer:
    """Put the commands together, or some of them.

    Args:
        names: Each module of that name adds its own.
    """
    app = typer.Typer(
        name="sentryfuse",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=epilog(
            "sentryfuse data download dsads --out data/dsads.npz",
            "sentryfuse train --data data/dsads.npz --out models/mine/1",
            "sentryfuse inspect models/mine/1",
            "sentryfuse predict models/mine/1 data/dsads.npz --present torso,left_leg --ratio 0.8",
            "sentryfuse serve --port 8080",
        )
        + "\n\nExit codes: 0 done, 1 failed, 2 wrong usage. "
        "'sentryfuse COMMAND --help' shows examples of each command.",
    )
    app.callback()(sentryfuse)
    for name in names:
        module = import_module(f"sentryfuse.cli.{name}")
        if name in _COMMANDS:
            getattr(module, name)(app)
        else:
            app.add_typer(module.app, name=name)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:
        given = [argument for argument in given if argument != "--debug"]
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    # To import and describe all that is not asked for takes longer than many a command does.
    app = tree([name for name in given[:1] if name in _ALL] or _ALL)
    try:
        code = app(given or ["--help"], prog_name="sentryfuse", standalone_mode=False)
    except _UsageErrors as error:
        return _usage_error(error)
    except SentryFuseError as error:
        return _failure(str(error), debug)
    except (KeyboardInterrupt, typer.Abort):
        return _failure("interrupted", debug, INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return _failure(str(error), debug)
    except Exception as error:  # the outermost loop: a bug must not spill a traceback by default
        what = f"internal error: {type(error).__name__}: {error}"
        return _failure(f"{what} (run it again with --debug for the traceback)", debug)
    return code if isinstance(code, int) else 0


def _usage_error(error: Any) -> int:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "sentryfuse"
    typer.echo(f"{path}: {_one_line(error.format_message())} (see {path} --help)", err=True)
    return USAGE


def _failure(message: str, debug: bool, code: int = FAILURE) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"sentryfuse: {_one_line(message)}", err=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())
