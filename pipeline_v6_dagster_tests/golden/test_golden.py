"""Log in, log out: what the stages make of a hand-made home, byte for byte (see README.md here)."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.live_builders import clock_at

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
FIRST_RUN, SECOND_RUN = 10_000.0, 10_900.0


@pytest.fixture
def made(tmp_path: Path) -> Settings:
    """The hand-made home after two runs of the stages."""
    shutil.copytree(HERE / "home", tmp_path, dirs_exist_ok=True)
    settings = load_settings({"PIPELINE_V6_HOME": str(tmp_path), "PIPELINE_COMPARE_MIN_SAMPLE": "10"}, tmp_path)
    limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
    for at in (FIRST_RUN, SECOND_RUN):
        run_shadow(settings, limits, clock_at(at))
        run_compare(settings, limits, clock_at(at))
    return settings


def diffs() -> dict[str | None, dict[str, Any]]:
    """The expected diffs by intent; of a decision with a revision, the revision."""
    rows = map(json.loads, (EXPECTED / "pipeline_v6_compare.jsonl").read_bytes().splitlines())
    return {row["intent_id"]: row for row in rows if "mismatch_kind" in row}


@pytest.mark.parametrize("name", ["shadow_log", "compare_diffs"])
def test_the_same_logs_in_give_the_same_logs_out(made: Settings, name: str) -> None:
    log: Path = getattr(made, name)
    if os.environ.get("UPDATE_GOLDEN"):
        EXPECTED.mkdir(exist_ok=True)
        shutil.copyfile(log, EXPECTED / log.name)
    assert log.read_bytes() == (EXPECTED / log.name).read_bytes()


def test_the_inputs_are_left_alone(made: Settings) -> None:
    for path in (HERE / "home").rglob("*.jsonl"):
        assert (made.home / path.relative_to(HERE / "home")).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("intent", "kind", "outcome", "method", "cause"),
    [
        ("match", "match", "executed", "intent_id", None),
        ("both_refuse", "match_veto", "vetoed", "intent_id", None),
        ("live_refuses", "shadow_allowed_live_absent", "vetoed", "time", "live_veto"),
        ("v6_refuses", "shadow_vetoed_live_executed", "executed", "intent_id", "shadow_rule"),
        ("doubled", "match", "executed", "intent_id", "unexplained"),
        ("flip", "match", "executed", "intent_id", None),
        ("maker_taker", "match", "executed", "intent_id", None),
        ("polled", "match", "executed", "intent_id", None),
        ("late", "match", "executed", "intent_id", "late"),
        ("stranger", "live_only", "executed", None, "no_decision"),
        ("refused", "match", "error", "intent_id", "live_error"),
        ("stale_nav", "shadow_vetoed_live_executed", "executed", "intent_id", "nav_stale"),
        ("silence", "live_unknown", "unresolved", None, "unresolved"),
        ("flat", "match", "executed", "intent_id", None),
    ],
)
def test_each_story_ends_as_it_was_told(
    intent: str, kind: str, outcome: str, method: str | None, cause: str | None
) -> None:
    row = diffs()[f"ord_{intent}"]
    assert (row["mismatch_kind"], row["live_outcome"], row["match_method"], row["root_cause"]) == (
        kind,
        outcome,
        method,
        cause,
    )


@pytest.mark.parametrize(
    ("intent", "size_pct", "sizing_ratio", "slippage_bps"),
    [
        ("match", 0.0, 0.0, 0.0),  # paid 6 on 60,000, 1 bp as expected
        ("v6_refuses", None, 0.0, None),
        ("doubled", 100.0, 1.0, 0.0),  # sold 6 too low on 60,000
        ("flip", 0.0, 0.0, 4.0),  # sold 1.5 too low on 3,000: 5 bps, 1 expected
        ("maker_taker", 0.0, 0.0, 1e4 * ((3 * 149.9 + 5 * 150.2) / 8 - 150) / 150 - 1),
        ("polled", 0.0, 0.0, -0.5),
        ("late", 0.0, 0.0, 1e4 / 3000 - 1),
        ("silence", None, None, None),
        ("flat", None, 2070 / 2100 - 1, None),
    ],
)
def test_the_figures_are_those_computed_by_hand(
    intent: str, size_pct: float | None, sizing_ratio: float | None, slippage_bps: float | None
) -> None:
    row = diffs()[f"ord_{intent}"]
    found = (row["size_pct_diff"], row["sizing_diff_pct"], row["slippage_diff_bps"])
    assert found == pytest.approx((size_pct, sizing_ratio, slippage_bps), abs=1e-6)


def test_orders_without_ids_are_paired_by_time_and_the_doubled_one_is_found() -> None:
    rows = map(json.loads, (EXPECTED / "pipeline_v6_compare.jsonl").read_bytes().splitlines())
    paired = [row for row in rows if row.get("match_method") == "time" and row["live_outcome"] == "executed"]
    assert [(row["match_dt_s"], row["sizing_diff_pct"], row["is_upsize"]) for row in paired] == [
        (pytest.approx(0.8), 0.0, False),
        (pytest.approx(0.7), 1.0, True),
    ]


def test_the_late_order_is_a_revision_of_an_unresolved_line() -> None:
    rows = [json.loads(line) for line in (EXPECTED / "pipeline_v6_compare.jsonl").read_bytes().splitlines()]
    first, revision = (row for row in rows if row.get("intent_id") == "ord_late")
    assert (first["live_outcome"], first["revision_of"]) == ("unresolved", None)
    assert revision["revision_of"] == first["decision_id"]


def test_the_second_run_wrote_its_heartbeat_line_alone() -> None:
    rows = [json.loads(line) for line in (EXPECTED / "pipeline_v6_compare.jsonl").read_bytes().splitlines()]
    ends = [number for number, row in enumerate(rows) if "cursor" in row]
    assert ends == [len(rows) - 2, len(rows) - 1]
    assert [rows[number]["heartbeat"] for number in ends] == [False, True]
    assert rows[ends[0]]["summary"]["status"] == "red"
