"""MkDocs hook: links from a page to a file of the repository lead to a copy of it in the site.

On the page such a link is what it has to be in the repository, ``../examples/x.py``; strict mode
would call it broken, since the file is no page. A link to what is not there stays as it is, and
stops the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

_REPOSITORY = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)((?:#[^)\s]*)?\))")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Point links that leave docs/ to the copies."""

    def copied(match: re.Match[str]) -> str:
        folder = posixpath.dirname(posixpath.join("docs", page.file.src_uri))
        path = posixpath.normpath(posixpath.join(folder, match[2]))
        if path.startswith(("docs/", "../")) or not (_REPOSITORY / path).is_file():
            return match[0]
        # As text, so that a browser shows it, and Markdown does not become a page outside the nav.
        uri = f"source/{path}.txt"
        if files.get_file_from_path(uri) is None:
            source = str(_REPOSITORY / path)
            files.append(File.generated(config, uri, abs_src_path=source))
        return f"]({posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')})"

    return _LINK.sub(copied, markdown)
