"""A page of HTML whose own scripts and styles may run, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Page:
    """What is sent."""

    content: bytes
    headers: Mapping[str, str]


def read_page(path: Path) -> Page:
    """Read a page, and allow what stands in it by its hash (Content Security Policy, level 2)."""
    content = path.read_bytes()
    allowed = policy(script=_hashes(content, b"script"), style=_hashes(content, b"style"))
    headers = {
        "Content-Security-Policy": allowed,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Page(content, headers)


def policy(*, script: str, style: str, image: str = "'none'") -> str:
    """Write a policy that allows these sources, and data from the service itself."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {script}",
            f"style-src {style}",
            f"img-src {image}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hashes(content: bytes, tag: bytes) -> str:
    blocks = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), content, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(block).digest()).decode() for block in blocks)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
