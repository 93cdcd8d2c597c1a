"""The live page and its playground in a real browser, on the real service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import DEADLINE_MS, Visit, chromium, installed
from tests.integration.http_server import HttpService, StartHttp, start_service, wait_for
from tests.integration.test_http_keys import add_key

pytestmark = pytest.mark.skipif(installed() is None, reason="needs Chromium, package chromium")
expect.set_options(timeout=DEADLINE_MS)
MOST_BYTES = 60_000
READY = "#plan .figure"
RHO = "\u03c1"

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """One service for the tests of this file; its last test ends it."""
    running = start_service(tmp_path_factory.mktemp("service"))
    wait_for(running, "/health/ready")
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens the page in a profile of its own."""
    contexts = []

    def visit(service: HttpService, *, wait: str = READY, **settings: object) -> Visit:
        context = browser.new_context(**settings)  # type: ignore[arg-type]
        contexts.append(context)
        seen = Visit(context.new_page())
        seen.page.goto(service.url)
        seen.page.wait_for_selector(wait)
        return seen

    yield visit
    for context in contexts:
        context.close()


def send(page: Page) -> None:
    expect(page.locator("#sample-note")).to_contain_text("simulated")
    page.click("#send")
    page.wait_for_selector("#answer .bars")


def test_the_page_loads_without_a_complaint_and_asks_nobody_else(
    service: HttpService, visit: Open
) -> None:
    seen = visit(service)
    expect(seen.page.locator("#phase")).to_have_text("ready")
    expect(seen.page.locator("#about")).to_contain_text("toy v2")
    expect(seen.page.locator("#power-quality")).to_have_text("modelled")
    expect(seen.page.locator("#sample-note")).to_contain_text("simulated")
    expect(seen.page.locator("#sensors .wave").first).to_be_attached()
    assert seen.complaints == []
    assert all(request.url.startswith(service.url) for request in seen.requests)


def test_the_plan_follows_sensors_and_budgets(service: HttpService, visit: Open) -> None:
    page = visit(service).page
    chosen, reason = page.locator("#plan .figure"), page.locator("#plan .reason")
    expect(chosen).to_contain_text(f"{RHO} 0 fits")
    page.fill("#energy-number", "150")
    expect(chosen).to_contain_text(f"{RHO} 0.5")
    expect(reason).to_contain_text("150 mJ")
    expect(page.locator("#front-chart .ring")).to_have_count(1)

    slider = page.locator("#energy-slider")
    assert slider.get_attribute("aria-valuetext") == "150 mJ"
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#energy-number")).to_have_value("")
    expect(chosen).to_contain_text(f"{RHO} 0 fits")

    with page.expect_request("**/plan") as asked:
        page.get_by_role("switch", name="sensor 1").click()
    assert asked.value.post_data_json == {
        "present": ["sensor_0", "sensor_2", "sensor_3", "sensor_4"]
    }
    expect(page.locator("#curl")).to_contain_text("missing=sensor_1")


def test_a_drag_asks_for_few_plans(service: HttpService, visit: Open) -> None:
    page = (seen := visit(service)).page
    before = len(seen.asked("/plan"))
    page.locator("#latency-slider").focus()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#plan .reason")).to_contain_text(page.input_value("#latency-number"))
    assert len(seen.asked("/plan")) - before < 20


def test_a_refusal_is_told_in_words(service: HttpService, visit: Open) -> None:
    page = visit(service).page
    page.get_by_role("switch", name="Strict").click()
    page.fill("#energy-number", "0.001")
    expect(page.locator("#plan .problem")).to_contain_text("Budget can't be met")
    page.fill("#energy-number", "-1")
    expect(page.locator("#plan .problem")).to_contain_text("X-Energy-Budget-mJ")
    page.fill("#energy-number", "")
    for name in service.bundle.spec.modality_names:
        page.get_by_role("switch", name=name.replace("_", " ")).click()
    expect(page.locator("#plan .problem")).to_contain_text("present")


def test_the_answer_is_drawn_with_its_receipt(service: HttpService, visit: Open) -> None:
    page = (seen := visit(service)).page
    page.fill("#latency-number", "5000")
    with page.expect_response("**/infer") as answered:
        send(page)
    answer = answered.value.json()
    label = answer["predictions"][0]["label"].replace("_", " ")
    expect(page.locator("#answer .figure b")).to_have_text(label)
    expect(page.locator("#answer")).to_contain_text("budget met")
    expect(page.locator("#answer")).to_contain_text("modelled, cpu-time")
    assert page.locator("#answer .bars li").count() == len(answer["predictions"][0]["top"]) + 1
    expect(page.locator("#answer table")).to_contain_text("5,000 ms")
    expect(page.locator("#mix-now")).to_contain_text(RHO)
    expect(page.locator("#latency-now")).to_contain_text("ms")
    assert seen.complaints == []
    page.get_by_role("switch", name="sensor 0").click()
    expect(page.locator("#answer")).to_be_empty()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_command_it_shows_asks_the_same(service: HttpService, visit: Open) -> None:
    page = visit(service).page
    page.get_by_role("switch", name="sensor 2").click()
    page.select_option("#label", index=1)
    page.fill("#accuracy-number", "0.01")
    expect(page.locator("#curl")).to_contain_text("label=")
    with page.expect_response("**/infer") as answered:
        send(page)
    command = ["bash", "-c", page.inner_text("#curl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    shown, sent = json.loads(done.stdout), answered.value.json()
    assert shown["predictions"][0]["label"] == sent["predictions"][0]["label"]
    assert shown["plan"]["presence"] == sent["plan"]["presence"]
    assert shown["receipt"]["budget"]["accuracy"]["asked"] == 0.01


def test_everything_can_be_done_without_a_mouse(service: HttpService, visit: Open) -> None:
    page = visit(service).page

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} is not reached")

    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to("#sensors .switch")
    page.keyboard.press("Space")
    expect(page.locator("#sensors .switch").first).to_have_attribute("aria-checked", "false")
    tab_to("#latency-slider")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#latency-number")).not_to_have_value("")
    expect(page.locator("#sample-note")).to_contain_text("simulated")
    tab_to("#send")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .bars")).to_be_visible()


def test_nothing_is_asked_while_nobody_looks(service: HttpService, visit: Open) -> None:
    page = (seen := visit(service)).page
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    page.wait_for_timeout(500)  # one that was on its way
    before = len(seen.asked("/v1/live"))
    page.wait_for_timeout(2000)
    assert len(seen.asked("/v1/live")) == before
    with page.expect_request("**/v1/live"):
        page.evaluate(hide, False)


def test_a_key_is_asked_for_once_and_kept_in_the_tab(
    start_http: StartHttp, visit: Open, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    both = add_key(file, "both", "read", "infer")
    reader = add_key(file, "reader", "read")
    service = start_http(api_keys_file=file)
    page = (seen := visit(service, wait="#lock:not([hidden])")).page
    expect(page.locator("#key")).to_be_focused()

    page.fill("#key", "guess")
    page.keyboard.press("Enter")
    expect(page.locator("#lock-why")).to_contain_text("not known here")

    page.fill("#key", reader)
    page.keyboard.press("Enter")
    expect(page.locator("#phase")).to_have_text("ready")
    expect(page.locator("#play-problem")).to_contain_text("needs scope infer")

    page.evaluate("sessionStorage.clear()")
    page.reload()
    page.fill("#key", both)
    page.keyboard.press("Enter")
    send(page)
    expect(page.locator("#lock")).to_be_hidden()
    assert both not in page.inner_text("#curl")
    expect(page.locator("#curl")).to_contain_text("$SENTRYFUSE_KEY")
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator("#lock")).to_be_hidden()
    assert page.evaluate("localStorage.length") == 0
    assert not any(both in request.url for request in seen.requests)


def test_nobody_is_shut_out(service: HttpService, visit: Open) -> None:
    """No violation of WCAG that axe-core calls serious, with everything shown that can be."""
    page = visit(service, reduced_motion="reduce").page
    page.fill("#latency-number", "0.01")
    send(page)
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("#plan .bad")).to_be_visible()
    looks: tuple[tuple[Literal["light", "dark"], int], ...]
    looks = (("light", 1280), ("dark", 1280), ("dark", 360))
    for scheme, width in looks:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        found = Axe().run(page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        assert not serious, (scheme, width, json.dumps(serious, indent=1)[:4000])
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_visit_weighs_little_and_a_second_one_almost_nothing(
    service: HttpService, visit: Open
) -> None:
    page = (seen := visit(service)).page
    expect(page.locator("#sample-note")).to_contain_text("simulated")
    assert page.evaluate("performance.getEntriesByType('paint').length") > 0
    weighs = "performance.getEntries().reduce((n, e) => n + (e.transferSize ?? 0), 0)"
    first = page.evaluate(weighs)
    assert 10_000 < first < MOST_BYTES
    count = len(seen.requests)
    page.reload()
    page.wait_for_selector(READY)
    files = [r for r in seen.requests[count:] if re.search(r"/(page/.*)?$", r.url)]
    assert files
    assert page.evaluate(weighs) < first / 2


def test_a_server_that_goes_away_is_missed_and_welcomed_back(
    service: HttpService, start_http: StartHttp, visit: Open
) -> None:
    page = visit(service).page
    service.stop()
    expect(page.locator("#away")).to_contain_text("The server does not answer")
    expect(page.locator("#phase")).to_have_text("away")
    page.fill("#energy-number", "100")
    expect(page.locator("#plan .problem")).to_contain_text("does not answer")
    start_http(port=int(service.url.rpartition(":")[2]))
    expect(page.locator("#phase")).to_have_text("ready")
    expect(page.locator("#away")).to_be_empty()
    expect(page.locator("#plan .figure")).to_contain_text(RHO)
