"""The runbook has an entry for every check and alert, and the checks link to it."""

import re
from pathlib import Path

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.outputs.links import RUNBOOK, runbook_entry, runbook_link
from pipeline_v6_dagster_tests.docs.test_links import anchors
from pipeline_v6_dagster_tests.homes import settings_of

TEXT = RUNBOOK.read_text(encoding="utf-8")


def entries() -> dict[str, str]:
    """The text of each entry, by its heading."""
    parts = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_check_and_alert_has_an_entry_that_tells_what_it_means_and_what_to_do() -> None:
    told = entries()
    for name in GUIDANCE:
        assert "**Means**:" in told[name], name
        assert "**Do**" in told[name], name


def test_every_check_has_its_guidance_and_its_link_leads_to_the_entry(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    names = {key.name for key in build_defs(settings).resolve_asset_graph().asset_check_keys}
    assert names <= set(GUIDANCE)
    for name in GUIDANCE:
        url, _, anchor = runbook_link(settings, name).partition("#")
        assert url == "docs/runbook.md"
        assert runbook_entry(name), name
        assert anchor in anchors(TEXT)
