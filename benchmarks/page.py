"""The live page: when a newcomer first sees something, what a visit weighs, and its pictures.

Starts the real service and the system's Chromium, with an empty cache at every visit. Run:

    python benchmarks/page.py models
    python benchmarks/page.py models --pictures

Pictures are taken under a small load, and go to docs/figures/page-{light,dark}.png.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import shutil
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.progress import track
from service import service

from sentryfuse.bench import Record

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PAINTS = "performance.getEntriesByType('paint').map(p => [p.name, p.startTime])"
BYTES = "performance.getEntries().reduce((n, e) => n + (e.transferSize ?? 0), 0)"
SETTLED = "#plan .figure, #plan .problem"
WATCHED_S = 115.0
PATIENCE = 15
COLOURS = 256


def visit(browser: Browser, url: str) -> tuple[dict[str, float], float]:
    """Open the page as one who was never here; return seconds of its first paints, and bytes."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(SETTLED)
    page.wait_for_selector("#sensors .wave")
    paints = {name: 1e-3 * at for name, at in page.evaluate(PAINTS)}
    weight = float(page.evaluate(BYTES))
    context.close()
    return paints, weight


def measure(browser: Browser, url: str, record: Record, visits: int) -> None:
    visit(browser, url)  # Chromium reads its own files at the first
    found = [visit(browser, url) for _ in track(range(visits), description="visits")]
    paint_s = [paints["first-contentful-paint"] for paints, _ in found]
    weights = [weight for _, weight in found]
    record.add_samples("first_contentful_paint_seconds", paint_s, "s")
    record.add_samples("transferred_bytes", weights, "B")
    low, middle, high = np.quantile(paint_s, [0.25, 0.5, 0.75])
    spread = {"q25": float(low), "q75": float(high), "max": max(paint_s), "n": visits}
    record.add_figure("page_paint_seconds", float(middle), "s", spread)
    record.add_figure("page_bytes", max(weights), "B", {"min": min(weights), "n": visits})


def keep_asking(address: tuple[str, int], model: str, stop: threading.Event) -> None:
    """Send what a handful of gateways might: changing sensors, changing budgets, ups and downs."""
    draw = random.Random(0)
    connection = HTTPConnection(*address, timeout=30)
    connection.request("GET", f"/v1/models/{model}/sample?seed=3")
    inputs = json.loads(connection.getresponse().read())["inputs"]
    count = 0
    while not stop.wait(0.05 + 0.04 * math.sin(count / 60)):
        count += 1
        off = draw.sample(sorted(inputs), draw.choice([0, 0, 1, 2]))
        body = {"inputs": {name: None if name in off else w for name, w in inputs.items()}}
        budget = draw.choice([{}, {"X-Latency-Budget-Ms": "60"}, {"X-Energy-Budget-mJ": "14"}])
        headers = {"Content-Type": "application/json", **budget}
        connection.request("POST", "/v1/infer", json.dumps(body), headers)
        connection.getresponse().read()
    connection.close()


def take_pictures(browser: Browser, url: str, folder: Path) -> None:
    """Watch for a while, ask something, and keep what is seen, by day and by night."""
    pages: dict[str, Page] = {}
    options: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
    for scheme in ("light", "dark"):
        page = browser.new_context(
            **options, color_scheme=scheme, reduced_motion="reduce"
        ).new_page()
        page.goto(url)
        page.wait_for_selector("#plan .figure")
        pages[scheme] = page
    time.sleep(WATCHED_S)
    for scheme, page in pages.items():
        page.get_by_role("switch", name="left arm").click()
        page.fill("#latency-number", "100")
        for _ in range(PATIENCE):  # on a busy machine one answer may be late, the next not
            page.fill("#energy-number", "18")  # asks for the plan again
            page.wait_for_timeout(1500)
            page.click("#send")
            page.wait_for_selector("#answer .bars")
            if page.locator(".get .good").count() == 2:
                break
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        save_small(page.screenshot(full_page=True), folder / f"page-{scheme}.png")


def save_small(picture: bytes, path: Path) -> None:
    """Keep a picture with as many colours as a page needs: a third of the bytes."""
    seen = Image.open(io.BytesIO(picture)).convert("RGB")
    method = Image.Quantize.MAXCOVERAGE  # thin lines of a colour of their own keep it
    seen.quantize(COLOURS, method, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("--model", default="dsads-maestro")
    parser.add_argument("--visits", type=int, default=20)
    parser.add_argument("--pictures", action="store_true", help="no figures, only pictures")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    settings = {"load_models": args.model} | ({"power_cap_w": 9} if args.pictures else {})
    record = Record("page", "How soon is the live page seen, and what does a visit weigh?")
    with service(args.models, **settings) as (connection, _), sync_playwright() as playwright:
        address = (connection.host, connection.port)
        url = f"http://{address[0]}:{address[1]}/"
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*FLAGS]
        )
        record.add("browser", browser.version)
        if args.pictures:
            stop = threading.Event()
            asking = threading.Thread(target=keep_asking, args=(address, args.model, stop))
            asking.start()
            try:
                take_pictures(browser, url, Path("docs/figures"))
            finally:
                stop.set()
                asking.join()
        else:
            measure(browser, url, record, args.visits)
        browser.close()
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:g} {figure['unit']}")
    if not args.pictures and not args.no_record:
        print(record.save())


if __name__ == "__main__":
    main()
