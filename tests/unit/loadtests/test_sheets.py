"""Scenario files: what they may say, and what is said of one that says something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.play.sheet import find_sheet, key_table, read_sheet, shipped
from sentryfuse.errors import ConfigError

LEAST = 'about = "x"\n[arrivals]\nrate_hz = 10\n'


def read(folder: Path, text: str):
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_sheet(path)


@pytest.mark.parametrize("name", shipped())
def test_every_scenario_that_comes_along_can_be_read_and_says_what_it_shows(name: str) -> None:
    sheet = read_sheet(find_sheet(name))
    assert sheet.name == name
    assert len(sheet.about) > 40


def test_the_example_of_the_readme_is_a_scenario(tmp_path: Path) -> None:
    readme = Path("loadtests/README.md").read_text(encoding="utf-8")
    sheet = read(tmp_path, readme.partition("```toml\n")[2].partition("```")[0])
    assert sheet.requests.sensors == "dropout"
    assert sheet.cap[0].part == 0.7
    assert all(f"| `{name}` |" in readme for name in shipped())


def test_every_kind_of_scenario_comes_along() -> None:
    asked = {"steady", "bursty", "replay", "dropout", "power-cap", "overload", "many-models"}
    assert asked <= {*shipped()}


def test_what_a_file_does_not_say_has_a_default(tmp_path: Path) -> None:
    sheet = read(tmp_path, LEAST)
    assert (sheet.seconds, sheet.arrivals.squared_variation) == (None, 1.0)
    assert (sheet.requests.sensors, sheet.models.count, sheet.cap) == ("all", 1, ())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("second = 3\n" + LEAST, r"unknown key 'second' in the file; did you mean seconds\?"),
        (LEAST + "rate = 3\n", r"'rate' in \[arrivals\].*allowed: load, pace, rate_hz, replay"),
        (LEAST + "[requests]\ndeadline_ms = 3\n", r"did you mean deadline_s\?"),
        (LEAST + "[[cap]]\nat_s = 0\nwatt = 3\n", r"'watt' in \[\[cap\]\]"),
        (LEAST + "[server]\nwarm = true\n", r"'warm' in \[server\].*warm_all"),
        (LEAST + "[server]\nport = 1\n", r"'port' in \[server\]"),
        ('about = "x"\n', r"needs arrivals"),
        ("[arrivals]\nrate_hz = 1\n", r"needs about"),
        ('about = "x"\narrivals = 3\n', r"\[arrivals\] must be a table, got 3"),
        ('about = "x"\n[arrivals]\n', r"one of load, rate_hz and replay"),
        (LEAST + "load = 0.5\n", r"one of load, rate_hz and replay, and only one"),
        ('about = "x"\n[arrivals]\nrate_hz = "3"\n', r"rate_hz in \[arrivals\] must be a number"),
        ('about = "x"\n[arrivals]\nrate_hz = true\n', r"a number above 0, got True"),
        ('about = "x"\n[arrivals]\nrate_hz = inf\n', r"a number above 0, got inf"),
        (LEAST + "pace = [[1, 2.0]]\n", r"pace in \[arrivals\] must be a list of"),
        (LEAST + "pace = [[0, 2.0], [5, 0]]\n", r"values above 0"),
        (LEAST + "[requests]\nwindows = 0\n", r"a whole number of at least 1, got 0"),
        (LEAST + "[requests]\nstrict = 1\n", r"true or false, got 1"),
        (LEAST + '[requests]\nsensors = "some"\n', r"one of all, worn, dropout, got 'some'"),
        (LEAST + "[[cap]]\nat_s = 3\n[[cap]]\nat_s = 3\n", r"must be later than the last"),
        (LEAST + "[[cap]]\nat_s = 3\nwatts = 4\npart = 0.5\n", r"watts or part"),
        (LEAST + "[[neighbour]]\nfrom_s = 1\nto_s = 2\nshare = 1.0\n", r"share < 1"),
        (LEAST + "[cap]\nat_s = 3\n", r"a list of tables \[\[cap\]\]"),
        ("about = \n", r"mine\.toml: "),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(
    tmp_path: Path, text: str, named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        read(tmp_path, text)


def test_a_trace_file_is_looked_for_beside_the_scenario(tmp_path: Path) -> None:
    sheet = read(tmp_path, 'about = "x"\n[arrivals]\nreplay = "day.csv"\n')
    assert sheet.arrivals.replay == tmp_path / "day.csv"


def test_lists_of_server_settings_are_written_as_the_environment_wants_them(
    tmp_path: Path,
) -> None:
    sheet = read(tmp_path, LEAST + "[server]\nratios = [0, 0.5]\nwarm_all = false\n")
    assert sheet.server == {"ratios": "0,0.5", "warm_all": False}


def test_a_name_that_is_no_file_is_told_what_comes_along() -> None:
    with pytest.raises(ConfigError, match=r"there is no scenario 'stedy'.*steady"):
        find_sheet("stedy")


def test_every_key_is_explained() -> None:
    listed = key_table()
    for name in ("squared_variation", "deadline_s", "part", "share", "popularity", "apart"):
        assert f"  {name} " in listed
