"""The UI as an operator sees it: Debian's Chromium, by Playwright, on the read-only webserver of a running set-up.

With UPDATE_SCREENSHOTS=1 the pages are kept in docs/screenshots/.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline_v6_dagster_tests.deployment import LOCATION, REPO, Deployment, deployed, wait_for
from pipeline_v6_dagster_tests.homes import simulated_home

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = REPO / "docs" / "screenshots"
PATIENCE_S = 180.0
# The first page compiles nothing but loads several megabytes of script on a loaded machine.
PAGE_MS = 90_000
HISTORY_S = 3600.0
# What the UI says of a tick that asked for a run, or for none.
_TICKED = re.compile("skipped|requested", re.IGNORECASE)


@pytest.fixture(scope="module")
def upsized() -> Iterator[tuple[Deployment, list[str]]]:
    """A set-up whose executor doubled orders, after its first runs; and those orders."""
    if CHROMIUM is None:
        pytest.skip("no chromium or chromium-browser on this machine; .ci/run installs it")
    # A short name, for it stands in the pictures.
    folder = Path(tempfile.mkdtemp(prefix="executor-"))
    settings, executor = simulated_home(
        folder / "home", seconds=HISTORY_S, upsize_share=0.02, start_ts=time.time() - HISTORY_S
    )
    environ = {
        "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": "60",
        "PIPELINE_COMPARE_INTERVAL": "60",
        "PIPELINE_V6_RUNBOOK_URL": "https://ops.example.com/runbook",
    }
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        deployment = stack.enter_context(deployed(settings.home, folder / "dagster", "sqlite", **environ))
        deployment.wait_until_up()
        deployment.start_schedule("compare_schedule")
        with deployment.instance() as instance:
            for job_name in ("shadow_job", "compare_job"):
                # The first comparison may have begun before the first decision: the second has seen them all.
                wait_for(f"{job_name} ran twice", lambda name=job_name: _succeeded(instance, name) >= 2, PATIENCE_S)
        yield deployment, executor.upsized_intent_ids


def _succeeded(instance: dg.DagsterInstance, job_name: str) -> int:
    done = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    return len(instance.get_runs(done))


@pytest.fixture(scope="module")
def browser(upsized: tuple[Deployment, list[str]]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@pytest.fixture
def page(browser: Browser, upsized: tuple[Deployment, list[str]]) -> Iterator[Page]:
    """A page that fails the test where the console had an error."""
    errors: list[str] = []
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{upsized[0].web_port}", viewport={"width": 1440, "height": 900}
    )
    context.set_default_timeout(PAGE_MS)
    context.set_default_navigation_timeout(PAGE_MS)
    expect.set_options(timeout=PAGE_MS)
    opened = context.new_page()
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield opened
    finally:
        context.close()
    assert errors == []


def keep(page: Page, name: str) -> None:
    """A picture for the documents, where they are asked for."""
    if os.environ.get("UPDATE_SCREENSHOTS") == "1":
        SCREENSHOTS.mkdir(exist_ok=True)
        page.wait_for_timeout(2000)  # What fades in.
        page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_the_lineage_shows_the_line_from_the_inputs_to_the_summary(page: Page) -> None:
    page.goto("/assets/compare_summary?view=lineage&lineageScope=upstream&lineageDepth=5")
    for name in ("order_attempts", "orders_executed", "risk_limits", "shadow_log", "compare_diffs", "compare_summary"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    for group in ("sources", "shadow", "compare"):
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    keep(page, "lineage")
    page.goto(f"/locations/{LOCATION}/asset-groups/shadow/lineage")
    expect(page.get_by_text("shadow_head", exact=True).first).to_be_visible()


def test_the_failing_check_and_its_failing_orders_can_be_read(
    page: Page, upsized: tuple[Deployment, list[str]]
) -> None:
    page.goto("/assets/compare_summary?view=checks")
    page.get_by_text("no_upsizes", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"orders? larger than v6's size")).first).to_be_visible()
    expect(page.get_by_text(re.compile("pipeline-v6 explain with each id")).first).to_be_visible()
    expect(page.get_by_text(re.compile(upsized[1][-1])).first).to_be_visible()
    keep(page, "check")


def test_the_summary_shows_its_status_its_reasons_and_its_file(page: Page) -> None:
    page.goto("/assets/compare_summary?view=overview")
    expect(page.get_by_text("What the newest diffs add up to").first).to_be_visible()
    expect(page.get_by_text("pipeline_v6_compare_summary.json").first).to_be_visible()
    expect(page.get_by_text("team:trading-ops").or_(page.get_by_text("trading-ops")).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"orders? larger than v6's size")).first).to_be_visible()
    keep(page, "summary")
    page.get_by_text("Plots", exact=True).first.click()
    for figure in ("upsize_count", "sizing_p95_ratio", "sample_size"):
        expect(page.get_by_text(figure, exact=True).first).to_be_visible()
    expect(page.locator("canvas").first).to_be_visible()
    keep(page, "plots")


def test_sensors_and_schedules_show_their_last_tick(page: Page) -> None:
    page.goto("/automation")
    for name in ("shadow_heartbeat_sensor", "compare_sensor", "parity_alert_sensor"):
        row = page.get_by_role("row").filter(has_text=name).or_(page.locator("div").filter(has_text=name))
        expect(row.first).to_be_visible()
    for name in ("maintenance_schedule", "compare_schedule"):
        expect(page.get_by_text(name).first).to_be_visible()
    keep(page, "automation")
    page.goto(f"/locations/{LOCATION}/sensors/compare_sensor")
    expect(page.get_by_text(_TICKED).first).to_be_visible()
    page.goto(f"/locations/{LOCATION}/schedules/compare_schedule")
    expect(page.get_by_text(_TICKED).first).to_be_visible()


def test_the_runs_are_listed(page: Page) -> None:
    page.goto("/runs")
    for name in ("shadow_job", "compare_job"):
        expect(page.get_by_text(name).first).to_be_visible()
    keep(page, "runs")


def test_nothing_can_be_started_here(upsized: tuple[Deployment, list[str]]) -> None:
    deployment, _ = upsized
    mutation = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
    refused = deployment.ask(deployment.web_port, mutation, {"name": LOCATION})
    assert refused["data"]["reloadRepositoryLocation"]["__typename"] == "UnauthorizedError"
