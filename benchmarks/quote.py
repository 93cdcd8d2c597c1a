"""Write the recorded figures into README and docs, wherever they are quoted.

A quote is a number, then ``<!-- figure -->``, ``<!-- figure * 100 -->`` or ``<!-- figure / 2 -->``;
it keeps its decimals and its plus sign. tests/unit/test_quoted_figures.py checks what this
writes. Run: ``python benchmarks/quote.py``
"""

from __future__ import annotations

import json
import re
from pathlib import Path

QUOTE = re.compile(r"([+\u2212-]?\d[\d.]*)([^|<\n]*<!-- (\w+)(?: ([*/]) ([\d.e+-]+))? -->)")


def main() -> None:
    figures = json.loads(Path("benchmarks/figures.json").read_text(encoding="utf-8"))

    def current(match: re.Match[str]) -> str:
        shown, rest, name, operator, number = match.groups()
        if name not in figures:
            raise SystemExit(f"there is no figure {name}: is its benchmark still to be run?")
        factor = float(number or 1)
        value = figures[name]["value"] * (1 / factor if operator == "/" else factor)
        text = f"{value:.{len(shown.partition('.')[2])}f}".replace("-", "\u2212")
        return ("+" if shown.startswith("+") and value >= 0 else "") + text + rest

    for page in (Path("README.md"), *sorted(Path("docs").rglob("*.md"))):
        before = page.read_text(encoding="utf-8")
        after = QUOTE.sub(current, before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print("updated", page)


if __name__ == "__main__":
    main()
