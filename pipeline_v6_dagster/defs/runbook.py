"""Where a check and an alert link to: their entry in the runbook."""

from pathlib import Path

from pipeline_v6_dagster.config.settings import Settings

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"


def runbook_link(settings: Settings, name: str) -> str:
    """The entry of a check, where the desk serves the runbook; else in the file of this checkout."""
    return f"{settings.runbook_url or RUNBOOK.as_uri()}#{name}"
