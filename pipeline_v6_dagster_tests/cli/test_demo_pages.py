"""The pages that the demo serves: the files of its folders and nothing else."""

from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline_v6_dagster.cli.demo_pages import served
from pipeline_v6_dagster.stages.outputs.links import RUNBOOK_PAGE
from pipeline_v6_dagster_tests.cli.running import pipeline_v6


def ask(address: str, path: str) -> tuple[int, str | None, bytes]:
    """A path as it stands: no client tidies it up on the way."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()
    finally:
        connection.close()


def test_the_runbook_is_a_page_and_what_it_links_to_is_text(tmp_path: Path) -> None:
    with served({"docs": RUNBOOK_PAGE.parent, "reports": tmp_path}) as address:
        status, kind, page = ask(address, "/docs/runbook.html")
        assert (status, kind, page) == (200, "text/html", RUNBOOK_PAGE.read_bytes())
        assert b'<h2 id="no_upsizes">' in page
        assert ask(address, "/docs/operations.md")[:2] == (200, "text/plain; charset=utf-8")
        assert ask(address, "/reports/pipeline_v6_parity.html")[0] == 404
        (tmp_path / "pipeline_v6_parity.html").write_text("<!doctype html>")
        assert ask(address, "/reports/pipeline_v6_parity.html") == (200, "text/html", b"<!doctype html>")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs/",
        "/reports",
        "/secret",
        "/reports/../secret",
        "/reports/%2e%2e/secret",
        "/reports//../secret",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "reports").mkdir()
    with served({"docs": RUNBOOK_PAGE.parent, "reports": tmp_path / "reports"}) as address:
        status, _, content = ask(address, path)
    assert status in (301, 404)
    assert b"hunter2" not in content


def test_alerts_of_the_demo_need_somewhere_to_go(tmp_path: Path) -> None:
    outcome = pipeline_v6(tmp_path, "demo", "--alerts", "--no-ui")
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (64, 1)
    assert "PIPELINE_V6_ALERT_URLS is empty" in outcome.stderr
