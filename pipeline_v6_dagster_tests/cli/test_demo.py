"""`make demo` and `make dev` as a user types them: real daemon, web server and receivers, and nothing left behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.deploy.test_browser import CHROMIUM, opened_page
from pipeline_v6_dagster_tests.deployment import free_ports, is_excused, wait_for
from pipeline_v6_dagster_tests.homes import simulated_home
from pipeline_v6_dagster_tests.mailbox import Mailbox, mailing
from pipeline_v6_dagster_tests.receiver import Receiver, receiving

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

REPO = Path(__file__).parents[2]
INTERVAL_S = 20
# A loaded machine takes minutes to start the demo.
START_S = 240.0

_RUNS = "{ runsOrError { ... on Runs { results { jobName status creationTime endTime tags { key value } } } } }"
_CHECKS = """{
  assetNodeOrError(assetKey: {path: ["compare_summary"]}) { ... on AssetNode { assetChecksOrError {
    ... on AssetChecks { checks { name executionForLatestMaterialization {
      status evaluation { severity description } } } } } } } }"""


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def make(target: str, port: int, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """`make TARGET` as a user types it, in a process group of its own, as a terminal gives it one."""
    return subprocess.Popen(
        ["make", target, f"PORT={port}", *arguments],
        cwd=REPO,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A terminal delivers Ctrl-C; a script's background job, in which these tests may run, ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupt(process: subprocess.Popen[str]) -> str:
    """Ctrl-C; returns what was said until the end."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=90)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return said


@dataclass(frozen=True)
class Demo:
    """A running demo, who receives its alerts, and the folder for temporary files in which it has its sandbox."""

    process: subprocess.Popen[str]
    port: int
    temporary: Path
    receiver: Receiver
    mailbox: Mailbox


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The folder has so long a name that a socket in it could have none."""
    temporary = tmp_path_factory.mktemp("temporary-files-" * 4)
    (port,) = free_ports(1)
    with receiving() as receiver, mailing() as mailbox:
        urls = f"{receiver.url} {mailbox.url}"
        process = make("demo", port, "ARGS=--alerts", TMPDIR=str(temporary), PIPELINE_V6_ALERT_URLS=urls)
        try:
            wait_until_up(process, port)
            yield Demo(process, port, temporary, receiver, mailbox)
        finally:
            if process.returncode is None:
                interrupt(process)


def ask(port: int, query: str) -> Any:
    request = Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20) as response:  # noqa: S310 -- our own server on localhost
        answer = json.load(response)
    assert "errors" not in answer, answer
    return answer["data"]


def wait_until_up(process: subprocess.Popen[str], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the demo ended early"
        try:
            with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    pytest.fail(f"the UI was not up after {START_S} s")


def runs(port: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(port, _RUNS)["runsOrError"]["results"]
    return found


def slots(found: list[dict[str, Any]], job_name: str) -> Counter[str]:
    return Counter(
        tag["value"]
        for run in found
        if run["jobName"] == job_name
        for tag in run["tags"]
        if tag["key"] == "pipeline_v6/slot"
    )


def upsize_check(port: int) -> dict[str, Any] | None:
    checks = ask(port, _CHECKS)["assetNodeOrError"]["assetChecksOrError"]["checks"]
    (check,) = (check for check in checks if check["name"] == "no_upsizes")
    latest: dict[str, Any] | None = check["executionForLatestMaterialization"]
    return latest


def descendants_in(folder: Path) -> list[str]:
    """Command lines of the processes whose environment names `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def received_alert(demo: Demo) -> str:
    """The alert about larger orders as both channels got it."""

    def posted() -> list[str]:
        return [str(payload["message"]) for _, _, payload in demo.receiver.received if "no_upsizes" in payload["title"]]

    def mailed() -> list[str]:
        bodies = [mail.get_body(("plain",)) for mail in demo.mailbox.received if "no_upsizes" in str(mail["Subject"])]
        return [body.get_content() for body in bodies if body is not None]

    wait_for("the alert arrived", lambda: posted() and mailed(), START_S)
    assert mailed()[0].split() == posted()[0].split()
    return posted()[0]


def read_both_sides(message: str) -> str:
    """What the command of an alert prints, pasted into a shell that knows nothing of the demo."""
    (command,) = re.findall(r"^Explain: (.+)$", message, re.MULTILINE)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO)}
    shell = ["sh", "-c", command]
    return subprocess.run(shell, cwd="/", env=environ, capture_output=True, text=True, check=True).stdout


def open_every_link(page: Page, message: str) -> None:
    links = dict(re.findall(r"^(\w+): (http://\S+)$", message, re.MULTILINE))
    assert list(links) == ["Check", "Run", "Runbook"]
    page.goto(links["Check"])
    expect(page.get_by_text(re.compile(r"orders? larger than v6's size")).first).to_be_visible()
    page.goto(links["Run"])
    expect(page.get_by_text("compare_job").first).to_be_visible()
    page.goto(links["Runbook"])
    expect(page.locator("h2#no_upsizes")).to_be_in_viewport()


def test_the_sensors_run_each_job_once_per_interval_and_an_upsize_turns_the_check_red(demo: Demo) -> None:
    deadline = time.monotonic() + START_S
    check = None
    while time.monotonic() < deadline:
        check = upsize_check(demo.port)
        is_red = check is not None and check["status"] == "FAILED"
        if is_red and len(slots(runs(demo.port), "compare_job")) >= 5:
            break
        time.sleep(2)
    assert check is not None
    assert check["status"] == "FAILED"
    assert check["evaluation"]["severity"] == "ERROR"
    assert "larger than v6's size" in check["evaluation"]["description"]
    found = runs(demo.port)
    assert {run["status"] for run in found} <= {"SUCCESS", "STARTED", "STARTING", "QUEUED", "NOT_STARTED"}
    for job_name in ("shadow_job", "compare_job"):
        counted = slots(found, job_name)
        numbers = sorted(int(slot.split("/")[1]) for slot in counted)
        assert set(counted.values()) == {1}, counted
        missed = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
        flights = [
            (run["creationTime"] - 1, (run["endTime"] or time.time()) + 1)
            for run in found
            if run["jobName"] == job_name
        ]
        unexcused = [slot for slot in missed if not is_excused(slot * INTERVAL_S, (slot + 1) * INTERVAL_S, flights)]
        assert not unexcused, f"{job_name}: no run in the slots {unexcused} of {numbers}"
        assert len(numbers) >= max(4, len(missed))


def test_from_the_alert_alone_an_operator_comes_to_both_sides_of_the_order_and_every_link_opens(demo: Demo) -> None:
    message = received_alert(demo)
    both_sides = read_both_sides(message)
    assert re.search(r"^decision .*: allowed$", both_sides, re.MULTILINE)
    assert re.search(r"^live: executed$", both_sides, re.MULTILINE)
    if CHROMIUM is None:
        pytest.skip("no chromium or chromium-browser on this machine; .ci/run installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with opened_page(chromium, f"http://127.0.0.1:{demo.port}") as page:
            open_every_link(page, message)


def test_what_the_demo_has_said_and_that_it_leaves_nothing_behind(demo: Demo) -> None:
    said = interrupt(demo.process)
    assert said.index("warming up") < said.index("status green, verdict PASS") < said.index("injected: ")
    assert f"http://127.0.0.1:{demo.port}/assets/compare_summary?view=checks" in said
    assert "status red, verdict FAIL" in said
    assert "was accepted by json#1" in said
    assert "was accepted by mailto#1" in said
    assert descendants_in(demo.temporary) == []
    assert list(demo.temporary.iterdir()) == []


def test_the_rollout_can_be_looked_at_once_it_is_over(tmp_path: Path, port: int) -> None:
    process = make("demo", port, "ARGS=--rollout", TMPDIR=str(tmp_path))
    watchdog = threading.Timer(2 * START_S, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    said = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if "look at what v6 may do now: " in line:
                break
        text = "".join(said)
        links = re.findall(rf"look at .*: (http://127\.0\.0\.1:{port}/assets/\S+)$", text, re.MULTILINE)
        assert len(links) == 2, text
        assert text.index("approve by demo") < text.index("injected: ") < text.index("rollback by compare: critical: ")
        assert process.poll() is None
        if CHROMIUM is None:
            pytest.skip("no chromium or chromium-browser on this machine; .ci/run installs it")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            with opened_page(chromium, f"http://127.0.0.1:{port}") as page:
                page.goto(links[0])
                expect(page.get_by_text(re.compile(r"placed on another side than v6 decided")).first).to_be_visible()
                page.goto(links[1])
                expect(page.get_by_text("rolled_back", exact=True)).to_be_visible()
    finally:
        watchdog.cancel()
        interrupt(process)
    assert descendants_in(tmp_path) == []


def test_a_port_that_is_taken_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with receiving() as taken:
        refused = pipeline_v6(tmp_path, "demo", "--port", str(taken.port))
    assert refused.exit_code == 64
    assert f"--port: {taken.port} cannot be used (Address already in use); give another" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_dev_serves_ones_own_home(tmp_path: Path, port: int) -> None:
    settings, _ = simulated_home(tmp_path / "home", seconds=60)
    dev = make("dev", port, PIPELINE_V6_HOME=str(settings.home), DAGSTER_HOME=str(tmp_path / "dagster"))
    try:
        wait_until_up(dev, port)
        query = '{ assetOrError(assetKey: {path: ["compare_summary"]}) { __typename } }'
        deadline = time.monotonic() + START_S
        while not settings.compare_summary.exists() and time.monotonic() < deadline:
            time.sleep(1)
        assert settings.compare_summary.exists(), "the sensors started nothing"
        assert ask(port, query)["assetOrError"]["__typename"] == "Asset"
    finally:
        interrupt(dev)
    assert descendants_in(tmp_path) == []
