"""Where checks and alerts link to: pages of the Dagster UI, and the entry of the runbook."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

from pipeline_v6_dagster.alerts.message import Links
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.reports.fills import symbol_anchor
from pipeline_v6_dagster.stages.outputs.report import report_path

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
# The same as a page, for a proxy to serve.
RUNBOOK_PAGE = RUNBOOK.with_suffix(".html")

_ENTRY = re.compile(r"^## (.+)$", re.MULTILINE)


def runbook_link(settings: Settings, name: str) -> str:
    """The address of a runbook entry; where none is served, its place in this checkout, which no browser opens."""
    return f"{settings.runbook_url or 'docs/runbook.md'}#{name}"


@cache
def _entries() -> dict[str, str]:
    try:
        text = RUNBOOK.read_text(encoding="utf-8")
    except OSError:  # An installation without the documents.
        return {}
    _, *parts = _ENTRY.split(text)
    return {name: entry.strip() for name, entry in zip(parts[::2], parts[1::2], strict=True)}


def runbook_entry(name: str) -> str | None:
    """The text of a runbook entry, as markdown; None where this installation has none."""
    return _entries().get(name)


def asset_url(settings: Settings, asset: str) -> str | None:
    """The page of an asset in the UI; None where the address of the UI is not set."""
    return f"{settings.ui_url.rstrip('/')}/assets/{quote(asset, safe='/')}" if settings.ui_url else None


def check_url(settings: Settings, asset: str, check: str) -> str | None:
    """The page of a check in the UI; None where the address of the UI is not set."""
    page = asset_url(settings, asset)
    return None if page is None else f"{page}?view=checks&checkDetail={quote(check)}"


def run_url(settings: Settings, run_id: str | None) -> str | None:
    """The page of a run in the UI; None where the address of the UI is not set, or the command line ran."""
    return f"{settings.ui_url.rstrip('/')}/runs/{run_id}" if settings.ui_url and run_id else None


def report_url(settings: Settings, symbol: str | None = None) -> str | None:
    """The parity report as a page, at the part about `symbol`; None where the address of the reports is not set."""
    if not settings.reports_url:
        return None
    anchor = f"#{symbol_anchor(symbol)}" if symbol is not None else ""
    return f"{settings.reports_url}/{report_path(settings).name}{anchor}"


def alert_links(settings: Settings, name: str, asset: str | None, run_id: str | None) -> Links:
    """The links of an alert about a check of `asset`, or, without one, about a run."""
    return Links(
        check=check_url(settings, asset, name) if asset is not None else None,
        run=run_url(settings, run_id),
        runbook=runbook_link(settings, name),
    )
