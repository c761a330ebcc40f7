"""`make demo` and `make dev` as a user types them: real daemon, real web server, and nothing left behind."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from pipeline_v6_dagster_tests.deployment import free_ports
from pipeline_v6_dagster_tests.homes import simulated_home

# One daemon at a time: each is watched while it keeps its intervals.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("daemon")]

REPO = Path(__file__).parents[2]
INTERVAL_S = 20
START_S = 90.0

_RUNS = "{ runsOrError { ... on Runs { results { jobName status startTime endTime tags { key value } } } } }"
_CHECKS = """{
  assetNodeOrError(assetKey: {path: ["compare_summary"]}) { ... on AssetNode { assetChecksOrError {
    ... on AssetChecks { checks { name executionForLatestMaterialization {
      status evaluation { severity description } } } } } } } }"""


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def make(target: str, port: int, **environ: str) -> subprocess.Popen[str]:
    """`make TARGET` as a user types it, in a process group of its own, as a terminal gives it one."""
    return subprocess.Popen(
        ["make", target, f"PORT={port}"],
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


@pytest.fixture
def demo(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = make("demo", port, TMPDIR=str(tmp_path))
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


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


def test_the_sensors_run_each_job_once_per_interval_and_an_upsize_turns_the_check_red(
    demo: subprocess.Popen[str], tmp_path: Path, port: int
) -> None:
    wait_until_up(demo, port)
    deadline = time.monotonic() + 150
    check = None
    while time.monotonic() < deadline:
        check = upsize_check(port)
        is_red = check is not None and check["status"] == "FAILED"
        if is_red and len(slots(runs(port), "compare_job")) >= 5:
            break
        time.sleep(2)
    assert check is not None
    assert check["status"] == "FAILED"
    assert check["evaluation"]["severity"] == "ERROR"
    assert "larger than v6's size" in check["evaluation"]["description"]
    found = runs(port)
    assert {run["status"] for run in found} <= {"SUCCESS", "STARTED", "STARTING", "QUEUED", "NOT_STARTED"}
    for job_name in ("shadow_job", "compare_job"):
        counted = slots(found, job_name)
        numbers = sorted(int(slot.split("/")[1]) for slot in counted)
        assert set(counted.values()) == {1}, counted
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "an interval was missed"
        assert len(numbers) >= 4

    said = interrupt(demo)
    assert said.index("warming up") < said.index("status green, verdict PASS") < said.index("injected: ")
    assert f"http://127.0.0.1:{port}/assets/compare_summary?view=checks" in said
    assert "status red, verdict FAIL" in said
    assert descendants_in(tmp_path) == []
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
