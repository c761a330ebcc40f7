"""The UI as an operator sees it: Debian's Chromium, by Playwright, on the read-only webserver of a running set-up.

With UPDATE_SCREENSHOTS=1 the pages are kept in docs/screenshots/.
"""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from playwright.sync_api import Browser, HttpCredentials, Locator, Page, expect, sync_playwright

from pipeline_v6_dagster.stages.outputs.report import write_report
from pipeline_v6_dagster_tests.deploy.test_proxy import NGINX, PASSWORD, proxied
from pipeline_v6_dagster_tests.deployment import LOCATION, REPO, Deployment, deployed, free_ports, wait_for
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.receiver import Receiver, receiving

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCREENSHOTS = REPO / "docs" / "screenshots"
PATIENCE_S = 180.0
# The first page compiles nothing but loads several megabytes of script on a loaded machine.
PAGE_MS = 90_000
HISTORY_S = 3600.0
# What the UI says of a tick that asked for a run, or for none.
_TICKED = re.compile("skipped|requested", re.IGNORECASE)


@dataclass(frozen=True)
class Scene:
    """A running set-up, the orders that its executor doubled, who receives its alerts, and the proxy in front of it."""

    deployment: Deployment
    upsized_intent_ids: list[str]
    receiver: Receiver
    proxy_url: str


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A set-up whose executor doubled orders, after its first runs."""
    if CHROMIUM is None:
        pytest.skip("no chromium or chromium-browser on this machine; .ci/run installs it")
    # A short name, for it stands in the pictures.
    folder = Path(tempfile.mkdtemp(prefix="executor-"))
    settings, executor = simulated_home(
        folder / "home", seconds=HISTORY_S, upsize_share=0.02, start_ts=time.time() - HISTORY_S
    )
    (port,) = free_ports(1)
    proxy_url = f"https://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        receiver = stack.enter_context(receiving())
        environ = {
            "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": "60",
            "PIPELINE_COMPARE_INTERVAL": "60",
            "PIPELINE_V6_ALERT_URLS": receiver.url,
            "PIPELINE_V6_UI_URL": proxy_url,
            "PIPELINE_V6_RUNBOOK_URL": f"{proxy_url}/docs/runbook.html",
            "PIPELINE_V6_REPORTS_URL": f"{proxy_url}/reports",
        }
        deployment = stack.enter_context(deployed(settings.home, folder / "dagster", "sqlite", **environ))
        deployment.wait_until_up()
        if NGINX is not None:
            stack.enter_context(proxied(folder / "nginx", deployment, settings.home, port))
        deployment.start_schedule("compare_schedule")
        with deployment.instance() as instance:
            for job_name in ("shadow_job", "compare_job"):
                # The first comparison may have begun before the first decision: the second has seen them all.
                wait_for(f"{job_name} ran twice", lambda name=job_name: _succeeded(instance, name) >= 2, PATIENCE_S)
        write_report(settings, time.time())
        yield Scene(deployment, executor.upsized_intent_ids, receiver, proxy_url)


def _succeeded(instance: dg.DagsterInstance, job_name: str) -> int:
    done = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS])
    return len(instance.get_runs(done))


@pytest.fixture(scope="module")
def browser(scene: Scene) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@pytest.fixture
def page(browser: Browser, scene: Scene) -> Iterator[Page]:
    """A page of the read-only webserver that fails the test where the console had an error."""
    with opened_page(browser, f"http://127.0.0.1:{scene.deployment.web_port}") as opened:
        yield opened


@pytest.fixture
def ops_page(browser: Browser, scene: Scene) -> Iterator[Page]:
    """The same through the proxy, as ops reach it."""
    if NGINX is None:
        pytest.skip("no nginx on this machine; .ci/run installs it")
    credentials: HttpCredentials = {"username": "ops", "password": PASSWORD, "send": "always"}
    with opened_page(browser, scene.proxy_url, ignore_https_errors=True, http_credentials=credentials) as opened:
        yield opened


@contextmanager
def opened_page(browser: Browser, base_url: str, **options: Any) -> Iterator[Page]:
    errors: list[str] = []
    context = browser.new_context(base_url=base_url, viewport={"width": 1440, "height": 900}, **options)
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


def test_the_failing_check_and_its_failing_orders_can_be_read(page: Page, scene: Scene) -> None:
    page.goto("/assets/compare_summary?view=checks")
    page.get_by_text("no_upsizes", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"orders? larger than v6's size")).first).to_be_visible()
    expect(page.get_by_text(re.compile("pipeline-v6 explain with each id")).first).to_be_visible()
    expect(page.get_by_text(re.compile(scene.upsized_intent_ids[-1])).first).to_be_visible()
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


def follow(page: Page, link: Locator) -> Page:
    """Click a link that opens a page of its own or in place; the page that it opened."""
    if link.get_attribute("target") != "_blank":
        link.click()
        return page
    with page.context.expect_page() as opened:
        link.click()
    return opened.value


def test_every_link_of_an_alert_opens(ops_page: Page, scene: Scene) -> None:
    received = wait_for("an alert arrived", lambda: list(scene.receiver.received), PATIENCE_S)
    (message,) = (str(payload["message"]) for _, _, payload in received if "no_upsizes" in payload["title"])
    links = dict(re.findall(r"^(\w+): (https://\S+)$", message, re.MULTILINE))
    assert list(links) == ["Check", "Run", "Runbook"]
    assert len(re.findall("https?://", message)) == len(links)
    ids = re.findall(r"pipeline-v6 explain (\w+)$", message, re.MULTILINE)
    for name, url in links.items():
        # As a mail reader shows it.
        ops_page.set_content(f'<a href="{escape(url)}">{name}</a>')
        ops_page.get_by_role("link", name=name, exact=True).click()
        if name == "Check":
            expect(ops_page.get_by_text(re.compile(r"orders? larger than v6's size")).first).to_be_visible()
            expect(ops_page.get_by_text(ids[0]).first).to_be_visible()
        elif name == "Run":
            expect(ops_page.get_by_text(url.rpartition("/")[2][:8]).first).to_be_visible()
            expect(ops_page.get_by_text("compare_job").first).to_be_visible()
        else:
            expect(ops_page.locator("h2#no_upsizes")).to_be_in_viewport()
            keep(ops_page, "runbook")


def test_every_link_of_a_failed_check_and_of_the_summary_opens(ops_page: Page) -> None:
    ops_page.goto("/assets/compare_summary?view=checks&checkDetail=no_upsizes")
    runbook = ops_page.locator('a[href*="/docs/runbook.html"]').first
    opened = follow(ops_page, runbook)
    expect(opened.locator("h2#no_upsizes")).to_be_in_viewport()
    for target in ("reasons.md", "operations.md"):
        opened.locator(f'a[href^="{target}"]').first.click()
        expect(opened.get_by_text(re.compile("^# ")).first).to_be_visible()
        opened.go_back()
    ops_page.goto("/assets/compare_summary?view=overview")
    report = ops_page.locator('a[href$="/reports/pipeline_v6_parity.html"]').first
    opened = follow(ops_page, report)
    expect(opened.get_by_text("v6 may not go live on this evidence.")).to_be_visible()
    keep(opened, "report")


def test_a_symbol_of_the_summary_links_to_its_part_of_the_report(ops_page: Page) -> None:
    ops_page.goto("/assets/compare_summary?view=overview")
    # The UI shows markdown of less than 1,000 characters in place: that of a few symbols is.
    symbol = ops_page.locator('a[href$="#symbol-BTCUSDT"]').first
    expect(symbol).to_have_text("BTCUSDT")
    symbol.scroll_into_view_if_needed()
    keep(ops_page, "by_symbol")
    opened = follow(ops_page, symbol)
    expect(opened.locator("#symbol-BTCUSDT")).to_be_in_viewport()


def test_everything_can_be_materialized_from_the_ui(browser: Browser, scene: Scene) -> None:
    deployment = scene.deployment
    with opened_page(browser, f"http://127.0.0.1:{deployment.admin_port}") as page, deployment.instance() as instance:
        page.goto("/asset-groups")
        button = page.get_by_role("button", name="Materialize all")
        # With three dots it asks for partitions first.
        expect(button).to_have_text(re.compile(r"^Materialize all \(\d+\)$"))
        button.click()
        by_hand = dg.RunsFilter(job_name="__ASSET_JOB")
        (run,) = wait_for("a run was launched", lambda: instance.get_runs(by_hand), PATIENCE_S)
        wait_for("it ended", lambda: instance.get_runs(dg.RunsFilter([run.run_id]))[0].is_finished, 2 * PATIENCE_S)
        (ended,) = instance.get_runs(dg.RunsFilter([run.run_id]))
    assert ended.status is dg.DagsterRunStatus.SUCCESS


def test_nothing_can_be_started_here(scene: Scene) -> None:
    deployment = scene.deployment
    mutation = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
    refused = deployment.ask(deployment.web_port, mutation, {"name": LOCATION})
    assert refused["data"]["reloadRepositoryLocation"]["__typename"] == "UnauthorizedError"
