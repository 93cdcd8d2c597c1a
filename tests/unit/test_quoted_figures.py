"""Numbers in the documentation are those of the records."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FIGURES = json.loads(Path("benchmarks/figures.json").read_text(encoding="utf-8"))
QUOTE = re.compile(r"([+\u2212-]?\d[\d.]*)[^|<\n]*<!-- (\w+)(?: ([*/]) ([\d.e+-]+))? -->")


def quotes() -> list[tuple[str, str, float]]:
    found = []
    for page in (Path("README.md"), *Path("docs").rglob("*.md")):
        for match in QUOTE.finditer(page.read_text(encoding="utf-8")):
            shown, name, operator, number = match.groups()
            factor = float(number or 1)
            found.append((shown, name, 1 / factor if operator == "/" else factor))
    return found


@pytest.mark.parametrize(("shown", "name", "factor"), quotes())
def test_a_quoted_figure_is_the_recorded_one(shown: str, name: str, factor: float) -> None:
    decimals = len(shown.partition(".")[2])
    value = round(FIGURES[name]["value"] * factor, decimals)
    assert float(shown.replace("\u2212", "-")) == pytest.approx(value)


def test_something_is_quoted() -> None:
    assert quotes()


def test_every_figure_has_its_record() -> None:
    for name, figure in FIGURES.items():
        record = json.loads((Path("benchmarks") / figure["record"]).read_text(encoding="utf-8"))
        assert record["figures"][name]["value"] == figure["value"]
