"""The parity report: what it says, that it needs nothing from outside, that no log can speak in it."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_number, format_time
from pipeline_v6_dagster.logs.compare_log import ends_backward, open_compare_log, read_summary
from pipeline_v6_dagster.reports.tables import symbols
from pipeline_v6_dagster.stages.outputs.report import report_path, write_report
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, make_settings, simulated_home
from pipeline_v6_dagster_tests.live_builders import (
    ATTEMPTS,
    ORDERS,
    T0,
    VETOES,
    Home,
    ack_row,
    attempt_row,
    fill_row,
    veto_row,
)

HOSTILE = "</text></svg></script><script>alert('$x_1$')</script><img src=x onerror=alert(1)>&\"'\x00\x1b[31m"


class Seen(HTMLParser):
    """Elements, their attributes, and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def upsized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, str]:
    """A home with upsizes, decided and compared, and its page."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    for command in ("shadow", "heartbeat", "compare", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    write_report(settings, START_TS + 3600)
    return settings, report_path(settings).read_text(encoding="utf-8")


def test_each_symbol_has_a_part_that_links_can_name(upsized: tuple[Settings, str]) -> None:
    settings, page = upsized
    ids = [attributes["id"] for _, attributes in Seen(page).elements if "id" in attributes]
    symbols = json.loads(settings.compare_summary.read_bytes())["by_symbol"]
    assert len(symbols) == 3
    for symbol in symbols:
        assert ids.count(f"symbol-{symbol}") == 1
        part = page[page.index(f'id="symbol-{symbol}"') :]
        assert f"Fills of {symbol}" in part[: part.index("</h2>")]


def test_links_to_a_symbol_without_a_drawing_lead_to_its_row(upsized: tuple[Settings, str]) -> None:
    summary = read_summary(upsized[0])
    one = summary.by_symbol["BTCUSDT"]
    table = symbols(dataclasses.replace(summary, by_symbol={"A<B": one, "C": one}), {"symbol-C"})
    assert table.anchors == ("symbol-A_B", None)


def test_the_verdict_and_why_stand_at_the_top_in_words(upsized: tuple[Settings, str]) -> None:
    settings, page = upsized
    report = read_status(settings, START_TS + 3600)
    top = page[: page.index("<svg")]
    assert "v6 may not go live on this evidence." in top
    for reason in report.reasons:
        assert escape(reason).replace(" %", "\N{NO-BREAK SPACE}%") in top


def test_every_plot_is_there_for_a_desk_and_for_a_phone(upsized: tuple[Settings, str]) -> None:
    _, page = upsized
    titles = re.findall(r"<h2>(.+?)</h2>", page)
    fills = [title for title in titles if title.startswith("Fills of ")]
    assert 1 <= len(fills) <= 4
    assert titles == [
        "Criteria of the verdict",
        "Veto mismatch over time",
        "Bound of the mismatch rate over time",
        "Size of each order",
        *fills,
        "Slippage by symbol",
        "Mismatches by root cause",
        "Coverage over time",
        "Input quality over time",
        "Orders larger than asked for",
        "Live side against v6 side",
        "First divergence of each symbol",
        "Rows of the first divergences",
        "Decisions on which v6 and live disagree",
        "Slippage furthest above what v6 expects",
        "By symbol",
        "Input quality",
    ]
    drawn = 7 + len(fills) - page.count("Nothing was measured to draw here.")
    assert page.count('class="wide"') == page.count('class="narrow"') == drawn
    assert page.count("<svg") == 2 * drawn


def test_the_top_says_when_and_from_what_it_was_made(upsized: tuple[Settings, str]) -> None:
    settings, page = upsized
    summary = read_status(settings, START_TS + 3600).summary
    assert summary is not None
    seen = Seen(page[: page.index("</header>")]).text
    diffs = sum(b'"mismatch_kind":' in line for line in settings.compare_diffs.read_bytes().splitlines())
    assert (
        f"Made {format_time(START_TS + 3600)} from {format_number(diffs)} diffs of {settings.compare_diffs},"
        f" epoch since {format_time(summary.epoch.since_ts)}."
    ) in seen


def test_the_bound_drawn_is_the_one_that_the_criterion_names(upsized: tuple[Settings, str]) -> None:
    settings, _ = upsized
    end = next(ends_backward(open_compare_log(settings)))
    bound_pct = end.mismatch_bound_pct
    measured = next(each.measured for each in end.summary.criteria if each.name == "decisions_agree")
    assert measured.endswith(f"at most {bound_pct:.2f} %")


def test_the_worst_cases_carry_the_ids_of_their_decisions(upsized: tuple[Settings, str]) -> None:
    settings, page = upsized
    diffs = [json.loads(line) for line in settings.compare_diffs.read_bytes().splitlines()]
    upsizes = sorted(
        (row for row in diffs if row.get("is_upsize")),
        key=lambda row: (
            -(row["live"]["gross_usd"] - (row["shadow"]["sized_gross_usd"] or row["shadow"]["quote_notional"]))
        ),
    )
    assert len(upsizes) > 5
    for row in upsizes[:10]:
        assert row["decision_id"] in page


def test_it_is_whole_in_itself(upsized: tuple[Settings, str]) -> None:
    _, page = upsized
    seen = Seen(page)
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in seen.elements}
    for tag, attributes in seen.elements:
        for name, value in attributes.items():
            if name in {"src", "href", "xlink:href", "action", "data"}:
                assert (value or "").startswith("#"), (tag, name, value)
    assert not re.search(r"url\((?!#)|@import", page)


def test_ids_are_unique_so_that_no_drawing_takes_anothers_parts(upsized: tuple[Settings, str]) -> None:
    _, page = upsized
    drawings = [set(re.findall(r'<(?:clipPath|path) id="([^"]+)"', part)) for part in page.split("<svg")[1:]]
    assert all(drawings)
    every = [name for ids in drawings for name in ids]
    assert len(every) == len(set(every))


def test_colours_follow_the_page_so_that_light_and_dark_are_one_drawing(upsized: tuple[Settings, str]) -> None:
    _, page = upsized
    drawn = "".join(part.split("</svg>")[0] for part in page.split("<svg")[1:])
    assert "var(--blue)" in drawn
    assert "var(--red)" in drawn
    assert not re.search(r"#0[1-9]0[1-9]0[1-9]", drawn)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_same_log_gives_the_same_page(upsized: tuple[Settings, str]) -> None:
    settings, page = upsized
    write_report(settings, START_TS + 3600)
    assert report_path(settings).read_text(encoding="utf-8") == page


def test_what_a_log_says_is_shown_and_never_run(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_COMPARE_MIN_SAMPLE="2")
    for number in range(3):
        home.attempts(attempt_row(number, f"{number}{HOSTILE}", symbol=HOSTILE))
        row: dict[str, Any] = {"symbol": HOSTILE}
        home.orders(
            ack_row(number + 0.2, f"{number}{HOSTILE}", **row), fill_row(number + 0.4, f"{number}{HOSTILE}", **row)
        )
    home.attempts(attempt_row(5, "vetoed"))
    home.vetoes(veto_row(5.1, "vetoed", veto_reason=HOSTILE))
    home.run(2000)
    write_report(home.settings, T0 + 2000)
    page = report_path(home.settings).read_text(encoding="utf-8")
    seen = Seen(page)
    assert not {"script", "img"} & {tag for tag, _ in seen.elements}
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert "<script>alert" in seen.text, "the name itself is to be read"
    assert page.count("</svg>") == page.count("<svg")


def test_without_a_summary_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run pipeline-v6 compare first"):
        write_report(make_settings(tmp_path), START_TS)


def test_of_no_decision_at_all_the_page_is_still_one(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    assert pipeline_v6(tmp_path, "compare").exit_code == 0
    write_report(settings, START_TS)
    page = report_path(settings).read_text(encoding="utf-8")
    assert "There is nothing yet to judge v6 by." in page
    assert page.count("Nothing was measured to draw here.") == 8


def test_of_one_decision_the_page_is_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    home.run(2000)
    write_report(home.settings, T0 + 2000)
    page = report_path(home.settings).read_text(encoding="utf-8")
    assert "from 1 diffs of" in page
    assert "<h2>Fills of BTCUSDT</h2>" in page
    assert page.count("</svg>") == page.count("<svg") > 0


def test_the_first_divergence_of_a_symbol_is_shown_with_its_rows(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(5, "2"), attempt_row(10, "3"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    home.vetoes(veto_row(5.1, "2", veto_reason="bucket_cap"), veto_row(10.1, "3", veto_reason="bucket_cap"))
    home.run(2000)
    write_report(home.settings, T0 + 2000)
    seen = Seen(report_path(home.settings).read_text(encoding="utf-8")).text
    logs = (home.log(ATTEMPTS), home.settings.shadow_log, home.log(VETOES), home.log(ORDERS))
    attempts, decisions, vetoes, orders = (log.read_text(encoding="utf-8").splitlines() for log in logs)
    shown = {row for row in (*attempts, *decisions, *vetoes, *orders) if row in seen}
    assert shown == {attempts[1], decisions[1], vetoes[0]}


def test_half_of_a_surrogate_pair_does_not_stop_the_page(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(5, "2"))
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    home.vetoes(veto_row(5.1, "2", veto_reason="bad \ud800 reason"))
    home.run(2000)
    write_report(home.settings, T0 + 2000)
    assert report_path(home.settings).read_bytes().startswith(b"<!doctype html>")


def test_the_command_says_where_it_is(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    outcome = pipeline_v6(tmp_path, "report", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    answer = json.loads(outcome.stdout)
    assert answer["path"] == str(report_path(settings))
    assert answer["size_bytes"] == report_path(settings).stat().st_size


def test_the_thumbnail_is_a_small_picture(upsized: tuple[Settings, str]) -> None:
    settings, _ = upsized
    thumbnail = write_report(settings, START_TS + 3600).thumbnail
    assert thumbnail.startswith(b"\x89PNG")
    assert len(thumbnail) < 40_000
