"""The page of a played scenario: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #1f2933; background: #fff; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left;
       vertical-align: top; } td + td { font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } pre { background: #f1f3f5; padding: .8rem; overflow-x: auto; }
"""


def page(
    title: str, about: str, facts: Mapping[str, str], picture: str, sheet: str, record: Any
) -> str:
    """Write the page.

    Args:
        title: Name of the scenario.
        about: What it shows.
        facts: Figures, by what they are.
        picture: SVG image.
        sheet: The scenario's file.
        record: What was measured, kept inside the page as JSON (``id="record"``).
    """
    image = picture[picture.index("<svg") :]
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts.items()
    )
    # "</" would end the element wherever it stands.
    data = json.dumps(record).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)}: load test</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p>{escape(about)}</p>
<table>
{rows}
</table>
{image}
<details><summary>The scenario</summary><pre>{escape(sheet)}</pre></details>
<script type="application/json" id="record">{data}</script>
</body>
</html>
"""
