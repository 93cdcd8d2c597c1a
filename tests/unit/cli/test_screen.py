"""Results go to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys

import pytest

from sentryfuse.cli.screen import Screen


def test_notes_and_progress_stay_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.note("by the way")
    with screen.progress() as show:
        show("train", 5, 5, "loss 0.1")
    screen.say("the result")
    seen = capsys.readouterr()
    assert seen.out == "the result\n"
    assert seen.err == "by the way\ntrain: 5 of 5 loss 0.1\n"


def test_off_a_terminal_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Screen().progress() as show:
        for done in range(1001):
            show("convert", done, 1000)
    assert capsys.readouterr().err == "convert: 1000 of 1000\n"


def test_on_a_terminal_each_phase_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Screen().progress() as show:
        show("train", 1, 2, "loss [0.1]")
        show("train", 2, 2, "loss [0.1]")
        show("measure", 1, 4, "presences")
    err = capsys.readouterr().err
    assert "train" in err
    assert "100 %" in err
    assert "25 %" in err
    assert "loss [0.1]" in err


def test_quiet_drops_notes_and_progress(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(quiet=True)
    screen.note("by the way")
    with screen.progress() as show:
        show("train", 1, 1)
    assert capsys.readouterr().err == ""


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().json({"class": "Gehen über Treppen", "n": 1})
    assert json.loads(capsys.readouterr().out) == {"class": "Gehen über Treppen", "n": 1}


def test_a_piped_table_cuts_nothing_off(capsys: pytest.CaptureFixture[str]) -> None:
    long = "https://example.org/" + "x" * 150
    Screen().table(("name", "n"), [(long, "5"), ("[red]short[/red]", "12.5")])
    out = capsys.readouterr().out
    assert long in out
    assert "[red]short[/red]" in out


def test_facts_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().facts({"a": 1, "long name": "", "bcd": "x"})
    assert capsys.readouterr().out == "a    1\nbcd  x\n"
