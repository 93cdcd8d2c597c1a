"""The system's Chromium, without a sandbox, a GPU or anything that calls home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, Request, sync_playwright

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
DEADLINE_MS = 30_000


def installed() -> str | None:
    """Where Chromium is, if it is."""
    return shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run one browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=[*FLAGS])
        yield browser
        browser.close()


class Visit:
    """One tab, and what went on in it.

    Args:
        page: The tab.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        page.set_default_timeout(DEADLINE_MS)
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))

    def asked(self, path: str) -> list[Request]:
        """Requests whose URL ends so, or has that before its query."""
        return [r for r in self.requests if r.url.partition("?")[0].endswith(path)]
