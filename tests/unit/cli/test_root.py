"""Errors become one line and an exit code; start-up stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from sentryfuse.cli import main, root
from sentryfuse.errors import DataError

COMMANDS = ("train", "build", "inspect", "profile", "predict", "serve", "meter", "data", "keys")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds a command that raises what its argument says."""
    errors = {
        "domain": DataError("first line\nsecond line"),
        "bug": KeyError("gone"),
        "system": OSError(28, "No space left on device"),
        "interrupt": KeyboardInterrupt(),
    }

    def fail(what: str) -> None:
        raise errors[what]

    app = typer.Typer(rich_markup_mode=None)
    app.command()(fail)
    monkeypatch.setattr(root, "tree", lambda names: app)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert f"sentryfuse {command}" in out


@pytest.mark.parametrize("command", ["list", "download", "convert", "describe", "simulate"])
def test_every_data_command_explains_itself_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", command, "-h"]) == 0
    assert f"  sentryfuse data {command}" in capsys.readouterr().out


def test_without_arguments_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("sentryfuse 0.")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["inspect"], "sentryfuse inspect: Missing argument 'BUNDLE'"),
        (["inspect", "a", "--bogus"], "No such option"),
        (["train", "--data", "x.npz"], "Missing option '--out'"),
        (["train", "--data", "x", "--out", "y", "--epochs", "many"], "'--epochs'"),
        (["build", "a", "--out", "b.onnx", "--ratio", "1"], "'--ratio'"),
        (["data"], "Missing command"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    seen = capsys.readouterr()
    assert complaint in seen.err
    assert seen.err.count("\n") == 1
    assert "--help)" in seen.err
    assert seen.out == ""


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("what", "code", "line"),
    [
        ("domain", 1, "sentryfuse: first line second line\n"),
        ("system", 1, "sentryfuse: [Errno 28] No space left on device\n"),
    ],
)
def test_a_failure_is_one_line_without_traceback(
    what: str, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([what]) == code
    assert capsys.readouterr().err == line


@pytest.mark.usefixtures("failing")
def test_an_interrupt_is_told_by_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["interrupt"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("failing")
def test_a_bug_is_one_line_that_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bug"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("sentryfuse: internal error: KeyError: 'gone'")
    assert "--debug" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("arguments", [["--debug", "bug"], ["bug", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_help_needs_neither_numpy_nor_the_engine_nor_torch() -> None:
    heavy = ("torch", "numpy", "onnx", "onnxruntime", "uvicorn", "fastapi")
    code = (
        "import sys; from sentryfuse.cli import main; main(['train', '--help']); "
        f"print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "[]\n"
