"""The runbook has an entry for every criterion, check and alert, says what the tables say, and is linked to.

Run as a module, this writes what is made from the tables: `python -m pipeline_v6_dagster_tests.docs.test_runbook`.
"""

import re
import textwrap
from pathlib import Path

from pipeline_v6_dagster.alerts.guidance import GUIDANCE, ROLLOUT_MOVED, RUN_FAILED
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.outputs.links import RUNBOOK, runbook_entry, runbook_link
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster_tests.docs.pages import render_page
from pipeline_v6_dagster_tests.docs.test_links import anchors
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.homes import make_settings

TEXT = RUNBOOK.read_text(encoding="utf-8")
PAGE = RUNBOOK.with_suffix(".html")
WIDTH = 125
ALERTS = {RUN_FAILED, ROLLOUT_MOVED}

_ENTRY = re.compile(r"^## ([a-z_0-9]+)$\n\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"(?<=<!-- checks -->\n).*?(?=<!-- end -->)", re.DOTALL)
_PREFIX = "Passes when "
_PASSES = re.compile(r"\A\*[a-z]+\*\. Passes when .*?\n\n", re.DOTALL)
_TO_DO = re.compile(r"^\*\*Do\*\*:.*?\n\n", re.DOTALL | re.MULTILINE)


def checks() -> dict[str, tuple[str, str, str]]:
    """(group, "Passes when ...", what to do) of each criterion, check and alert, in the order of the page."""
    criteria = {each.name: (each.group.value, each.passes_when, each.to_do) for each in CRITERIA}
    others = {
        name: ("alert" if name in ALERTS else "check", f"Passes when {each.passes_when}.", each.todo)
        for name, each in GUIDANCE.items()
    }
    return criteria | others


def entries(text: str) -> dict[str, str]:
    """The text of each entry, by its heading."""
    return dict(_ENTRY.findall(text))


def filled(text: str) -> str:
    """The page with what is made from the tables."""
    rows = "".join(
        f"| [`{name}`](#{name}) | {group} | {passes.removeprefix(_PREFIX)} |\n"
        for name, (group, passes, _) in checks().items()
    )
    text = _TABLE.sub(lambda _: f"| name | group | passes when |\n| --- | --- | --- |\n{rows}", text)
    return _ENTRY.sub(lambda found: f"## {found[1]}\n\n{_filled_entry(found[1], found[2])}", text)


def _filled_entry(name: str, entry: str) -> str:
    group, passes, to_do = checks()[name]
    entry = _TO_DO.sub(lambda _: f"{_wrap(f'**Do**: {to_do}')}\n\n", entry, count=1)
    return f"{_wrap(f'*{group}*. {passes}')}\n\n{_PASSES.sub('', entry)}"


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def test_the_page_says_what_the_tables_say() -> None:
    how = "docs/runbook.md is not what the tables say; run: python -m pipeline_v6_dagster_tests.docs.test_runbook"
    assert filled(TEXT) == TEXT, how


def test_the_page_that_a_proxy_serves_is_the_text_and_its_links_lead_to_its_entries() -> None:
    how = "docs/runbook.html is not docs/runbook.md; run: python -m pipeline_v6_dagster_tests.docs.test_runbook"
    page = PAGE.read_text(encoding="utf-8")
    assert page == render_page(TEXT), how
    ids = re.findall(r'<h[1-6] id="([^"]+)">', page)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'<a href="([^"]+)">', page)
    assert {target.removeprefix("#") for target in targets if target.startswith("#")} <= set(ids)
    assert set(checks()) <= set(ids)
    assert all((PAGE.parent / target.partition("#")[0]).exists() for target in targets)


def test_there_is_an_entry_for_each_and_no_other_in_their_order() -> None:
    assert list(entries(TEXT)) == list(checks())


def test_every_entry_says_what_it_means_what_to_look_at_what_to_do_and_when_to_acknowledge() -> None:
    for name, entry in entries(TEXT).items():
        parts = [entry.index(f"**{part}**") for part in ("Means", "Look at", "Do", "Acknowledge")]
        assert parts == sorted(parts), name


def test_every_check_links_to_its_entry(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    fleet = fleet_settings(tmp_path, {"alpha": []})
    names = {key.name for key in build_defs(fleet).resolve_asset_graph().asset_check_keys}
    assert names == set(checks()) - ALERTS
    for name in (*checks(), "messages"):
        url, _, anchor = runbook_link(settings, name).partition("#")
        assert url == "docs/runbook.md"
        assert anchor in anchors(TEXT)
    for name in checks():
        assert runbook_entry(name), name


if __name__ == "__main__":
    RUNBOOK.write_text(filled(TEXT), encoding="utf-8")
    PAGE.write_text(render_page(filled(TEXT)), encoding="utf-8")
