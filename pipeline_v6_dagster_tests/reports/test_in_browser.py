"""The parity report as Debian's Chromium shows and prints it: on a desk, on a phone, light, dark, on paper."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from pipeline_v6_dagster.stages.outputs.report import report_path, write_report
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
A4_POINTS = (595, 842)
# Within its margins of 14 mm, at 96 pixels an inch.
PRINTED_WIDTH_PX = 688
# The words, ten plots (three of them fills by symbol) and eight tables.
MAX_SHEETS = 8


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an executor that doubled orders."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    for command in ("shadow", "heartbeat", "compare", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    write_report(settings, START_TS + 3600)
    return report_path(settings)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium or chromium-browser on this machine; .ci/run installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(browser: Browser, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)  # type: ignore[arg-type]  # one of two
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.body).color") == {
        "light": "rgb(21, 24, 29)",
        "dark": "rgb(233, 237, 242)",
    }.get(scheme)
    page.close()


def test_it_prints_on_a_few_sheets_and_nothing_is_cut(browser: Browser, report: Path) -> None:
    # On paper a dark screen's colours would be a page of ink.
    page = browser.new_page(viewport={"width": PRINTED_WIDTH_PX, "height": 1000}, color_scheme="dark")
    page.goto(report.as_uri())
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    sheets = re.findall(rb"/Type\s*/Page\b", pdf)
    assert 2 <= len(sheets) <= MAX_SHEETS
    boxes = {tuple(round(float(side)) for side in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)}
    assert boxes == {(0, 0, *A4_POINTS)}
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= PRINTED_WIDTH_PX
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    right_of_the_sheet = "one => one.getBoundingClientRect().right > innerWidth + 1"
    assert page.evaluate(f"[...document.querySelectorAll('td, th, svg')].filter({right_of_the_sheet}).length") == 0
    page.close()
