"""`pipeline-v6 explain`: both sides of a decision by any of its ids."""

import json
from pathlib import Path
from typing import Any

from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, fill_row, veto_row


def explained(tmp_path: Path, wanted_id: str) -> tuple[dict[str, Any], str]:
    """The answer as JSON and as text."""
    data, text = pipeline_v6(tmp_path, "explain", wanted_id, "--json"), pipeline_v6(tmp_path, "explain", wanted_id)
    assert (data.exit_code, text.exit_code, data.stderr, text.stderr) == (0, 0, "", "")
    return json.loads(data.stdout), text.stdout


def executed(tmp_path: Path) -> Home:
    """One decision of 5 for which live ordered 10."""
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.orders(ack_row(1, "1", qty=10.0), fill_row(2, "1", qty=10.0))
    home.run(2000)
    return home


def test_every_id_of_a_decision_gives_both_sides(tmp_path: Path) -> None:
    (diff,) = executed(tmp_path).diffs()
    answers = [explained(tmp_path, wanted_id) for wanted_id in (diff["decision_id"], "ord_1", "sig_1")]
    assert answers[0] == answers[1] == answers[2]
    data, text = answers[0]
    assert data["decision"]["decision_id"] == diff["decision_id"]
    assert data["rules"]
    assert data["other_decision_ids"] == []
    assert {name: diff[name] for name in data["diff"]} == data["diff"]
    order_id = diff["live"]["legs"][0]["order_id"]
    for part in (
        f"decision {diff['decision_id']} of ",
        "rules",
        "live: executed",
        "requested = 10, executed = 10",
        f"order {order_id}: FILLED, requested 10, executed 10 at 100, first ack 2025-11-01 12:26:41 UTC",
        "comparison: match, paired by intent_id, 1.000 s after the attempt",
        "size difference = 100.0 %, larger than v6's = yes",
        "arrival price = not measured",
        f"root cause: {diff['root_cause']}",
    ):
        assert part in text
    # Limits that the desk has not set are named, and take no line each.
    assert text.count("not configured") == 1
    without = {
        rule["limit_keys"][0] for rule in data["rules"] if rule["outcome"] == "not configured" and rule["limit_keys"]
    }
    assert "restricted_symbols" in without
    listed = text.partition("  not configured: ")[2].partition("\nsize")[0].replace("\n", " ")
    assert without <= {name.strip() for name in listed.split(",")}


def test_the_newest_state_of_a_revised_decision_is_shown(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.run(2000)
    assert explained(tmp_path, "ord_1")[0]["diff"]["live_outcome"] == "unresolved"
    home.orders(ack_row(1, "1"), fill_row(2, "1"))
    home.attempts(attempt_row(2100, "2"))
    home.run(4000)
    data, text = explained(tmp_path, "ord_1")
    assert data["diff"]["live_outcome"] == "executed"
    assert data["diff"]["revision_of"] is not None
    assert "live: executed" in text


def test_a_live_veto_shows_its_reason(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.vetoes(veto_row(1, "1"))
    home.run(2000)
    data, text = explained(tmp_path, "ord_1")
    assert data["diff"]["mismatch_kind"] == "shadow_allowed_live_absent"
    assert "live: vetoed" in text
    assert f"root cause: live_veto ({data['diff']['cause_detail']})" in text


def test_what_is_not_settled_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.shadow(1)
    data, text = explained(tmp_path, "sig_1")
    assert data["diff"] is None
    assert "live: the compare log has no line of this decision yet; run pipeline-v6 compare" in text


def test_of_several_decisions_of_an_intent_the_newest_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(60, "1", attempt_id="sig_again"))
    home.shadow(100)
    first, second = (json.loads(line)["decision_id"] for line in home.settings.shadow_log.read_bytes().splitlines())
    data, text = explained(tmp_path, "ord_1")
    assert data["decision"]["decision_id"] == second
    assert data["other_decision_ids"] == [first]
    assert f"earlier decisions of this id: {first}" in text
    assert explained(tmp_path, first)[0]["decision"]["decision_id"] == first


def test_an_order_without_a_decision_has_its_live_side(tmp_path: Path) -> None:
    home = executed(tmp_path)
    home.orders(ack_row(2100, "rogue"), fill_row(2101, "rogue"))
    home.attempts(attempt_row(5000, "3"))
    home.run(7000)
    data, text = explained(tmp_path, "ord_rogue")
    assert data["decision"] is None
    assert data["diff"]["mismatch_kind"] == "live_only"
    assert text.startswith("no decision: ")
    assert "root cause: no_decision" in text


def test_an_id_that_no_log_has_is_one_line(tmp_path: Path) -> None:
    executed(tmp_path)
    for wanted_id in ("nothing", '"', "\udcff"):
        outcome = pipeline_v6(tmp_path, "explain", wanted_id)
        assert (outcome.exit_code, outcome.stdout) == (65, "")
        assert "no intent or attempt of that id" in outcome.stderr
        assert outcome.stderr.count("\n") == 1


def test_an_empty_id_is_bad_usage(tmp_path: Path) -> None:
    for wanted_id in ("", "  "):
        outcome = pipeline_v6(tmp_path, "explain", wanted_id)
        assert (outcome.exit_code, outcome.stdout, outcome.stderr.count("\n")) == (64, "", 1)
        assert "the id is empty; give a decision, intent or attempt id" in outcome.stderr
