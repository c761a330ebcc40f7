"""Each check on what the stages wrote: passes, fails, is not measured; what it says and what it carries."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.outputs.links import runbook_entry
from pipeline_v6_dagster_tests.homes import START_TS, fixed, settings_of, simulated_home

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
NOW = START_TS + 3600 + 2000


def evaluations(
    settings: Settings, instance: dg.DagsterInstance, now: float = NOW
) -> dict[str, dg.AssetCheckEvaluation]:
    """Both jobs, and what their checks said."""
    found = {}
    for name in ("shadow_job", "compare_job"):
        job = build_defs(settings, fixed(now)).resolve_job_def(name)
        result = job.execute_in_process(instance=instance)
        found.update({each.check_name: each for each in result.get_asset_check_evaluations()})
    return found


def figure(check: dg.AssetCheckEvaluation, name: str) -> Any:
    return check.metadata[name].value


def sample(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    table = check.metadata["sample"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change each row of a log of the executor."""
    rows = [change(json.loads(line)) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_on_a_clean_executor_every_check_passes(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    found = evaluations(settings, instance)
    assert {name: check.passed for name, check in found.items()} == dict.fromkeys(found, True)
    assert set(found) <= set(GUIDANCE)
    for name, check in found.items():
        assert isinstance(check.metadata["count"], dg.IntMetadataValue), name
        plotted = (dg.IntMetadataValue, dg.FloatMetadataValue)
        assert any(isinstance(value, plotted) for value in check.metadata.values()), name


def test_the_runbook_is_where_the_setting_says(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    without, _ = simulated_home(tmp_path, seconds=60)
    assert evaluations(without, instance)["warmup"].metadata["runbook"] == dg.MetadataValue.md(
        str(runbook_entry("warmup"))
    )
    settings = settings_of(tmp_path, PIPELINE_V6_RUNBOOK_URL="https://desk.example/runbook")
    warmup = evaluations(settings, instance)["warmup"]
    assert figure(warmup, "runbook") == "https://desk.example/runbook#warmup"


def test_upsizes_fail_with_the_exact_count_and_a_capped_sample(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, executor = simulated_home(tmp_path, upsize_share=0.3)
    found = evaluations(settings, instance)
    upsized = found["no_upsizes"]
    assert not upsized.passed
    assert upsized.severity is ERROR
    assert figure(upsized, "count") == len(executor.upsized_intent_ids) > 20
    assert len(sample(upsized)) == 20
    assert len(figure(upsized, "failing_ids")) == 20
    assert figure(upsized, "excess_usd") > 0
    assert figure(upsized, "what_to_do") == GUIDANCE["no_upsizes"].todo
    assert not found["sizing_p95"].passed
    assert found["sizing_p95"].severity is ERROR
    assert figure(found["sizing_p95"], "sizing_p95_ratio") == pytest.approx(1.0)
    assert not found["verdict"].passed
    assert found["verdict"].severity is ERROR
    assert "placed larger than asked for" in str(found["verdict"].description)


def test_during_the_warmup_nothing_is_an_error(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600, upsize_share=0.5)
    found = evaluations(settings, instance)
    failed = {name for name, check in found.items() if not check.passed}
    assert failed >= {"warmup", "no_upsizes", "sizing_p95", "verdict"}
    assert {found[name].severity for name in failed} == {WARN}
    assert figure(found["warmup"], "count") == 200 - figure(found["warmup"], "sample_size")


def test_sizing_between_five_and_ten_percent_is_a_warning(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)

    def shrink(row: dict[str, Any]) -> dict[str, Any]:
        return row | ({"request_qty": row["request_qty"] * 0.93} if row["event_type"] == "order_ack" else {})

    rewrite(settings.orders_executed, shrink)
    sizing = evaluations(settings, instance)["sizing_p95"]
    assert (sizing.passed, sizing.severity) == (False, WARN)
    assert 0.05 < figure(sizing, "sizing_p95_ratio") < 0.10
    assert figure(sizing, "count") > 100


def test_a_symbol_that_v6_does_not_know_is_a_mismatch(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    universe = json.loads(settings.pairs_universe.read_text())
    symbol = universe["symbols"].pop(0)
    universe["universe"].pop(0)
    settings.pairs_universe.write_text(json.dumps(universe))
    mismatch = evaluations(settings, instance)["veto_mismatch"]
    assert (mismatch.passed, mismatch.severity) == (False, ERROR)
    assert figure(mismatch, "veto_mismatch_pct") > 2
    rows = sample(mismatch)
    assert figure(mismatch, "count") > len(rows) == 20
    assert {row["symbol"] for row in rows} == {symbol}
    assert {row["mismatch_kind"] for row in rows} == {"shadow_vetoed_live_executed"}


def test_lines_that_cannot_be_read_fail_input_quality(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    lines = settings.orders_executed.read_bytes().splitlines()
    for number in range(0, len(lines), 20):
        lines[number] = b"{not json"
    settings.orders_executed.write_bytes(b"\n".join(lines) + b"\n")
    quality = evaluations(settings, instance)["input_quality"]
    assert (quality.passed, quality.severity) == (False, WARN)
    assert "of the newest lines of a log are malformed, 1% at most; " in str(quality.description)
    assert figure(quality, "recent_malformed_ratio") == pytest.approx(0.05, abs=0.01)
    assert {row["input"]: row["malformed_ratio"] for row in sample(quality)}["order_attempts"] == 0.0


def test_orders_that_nobody_logged_fail_coverage(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.orders_executed.unlink()
    coverage = evaluations(settings, instance)["coverage"]
    assert (coverage.passed, coverage.severity) == (False, WARN)
    assert figure(coverage, "count") > 20
    assert figure(coverage, "unresolved_ratio") > 0.05
    rows = sample(coverage)
    assert {row["live_outcome"] for row in rows} == {"unresolved"}


def test_orders_without_a_size_fail_coverage_and_carry_no_verdict(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    lines = settings.orders_executed.read_bytes().replace(b'"request_qty"', b'"asked"').splitlines(keepends=True)
    settings.orders_executed.write_bytes(b"".join(line for line in lines if b'"order_fill"' not in line))
    found = evaluations(settings, instance)
    assert (found["coverage"].passed, found["coverage"].severity) == (False, WARN)
    assert figure(found["coverage"], "unsized_ratio") == 1.0
    assert "executed orders have no size to compare (5% at most)" in str(found["coverage"].description)
    assert "100.0% of executed orders have no size to compare, 5% at most" in str(found["verdict"].description)


def test_what_was_not_measured_passes_nothing(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    found = evaluations(settings, instance)
    assert {name for name, check in found.items() if check.passed} <= {"log_integrity"}
    for name in ("no_upsizes", "veto_mismatch", "sizing_p95", "verdict", "coverage", "input_quality", "executor_alive"):
        assert figure(found[name], "is_measured") is False
        assert str(found[name].description).startswith("not measured"), name
    assert "veto_mismatch_pct" not in found["veto_mismatch"].metadata
    assert "sizing_p95_ratio" not in found["sizing_p95"].metadata


def test_decisions_without_a_single_order_size_do_not_pass_no_upsizes(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.orders_executed.unlink()
    upsizes = evaluations(settings, instance)["no_upsizes"]
    assert not upsizes.passed
    assert str(upsizes.description).startswith("not measured")


def test_a_paused_executor_leaves_the_head_fresh_and_the_check_says_so(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    last = START_TS + 3600
    assert evaluations(settings, instance, last + 1800)["executor_alive"].passed
    silent = evaluations(settings, instance, last + 4000)["executor_alive"]
    assert (silent.passed, silent.severity) == (False, WARN)
    assert "3,600 s at most" in str(silent.description)
    assert figure(silent, "newest_attempt_age_s") == pytest.approx(4000, abs=120)
    assert json.loads(settings.shadow_head.read_text())["generated_ts"] == last + 4000
    early = evaluations(settings, instance, last - 4000)["executor_alive"]
    assert not early.passed
    assert "s in the future" in str(early.description)


def test_an_executor_that_never_logged_is_not_alive(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = settings_of(simulated_home(tmp_path, seconds=0)[0].home)
    settings.order_attempts.unlink(missing_ok=True)
    alive = evaluations(settings, instance)["executor_alive"]
    assert not alive.passed
    assert "holds no attempt with a time" in str(alive.description)
    assert "newest_attempt_age_s" not in alive.metadata


def tamper(path: Path, number: int) -> None:
    """Change a digit of a line that was written."""
    lines = path.read_text().splitlines(keepends=True)
    place = lines[number].index('"price":') + len('"price":')
    digit = lines[number][place]
    lines[number] = f"{lines[number][:place]}{9 - int(digit)}{lines[number][place + 1 :]}"
    path.write_text("".join(lines))


def test_log_integrity_reads_what_is_new_and_finds_what_was_changed(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    found = [evaluations(settings, instance, NOW + step)["log_integrity"] for step in (0, 30, 60)]
    assert all(each.passed for each in found)
    # The shadow log; what the comparison then wrote; the one line of a run without a diff.
    assert figure(found[0], "lines") > 30
    assert figure(found[2], "lines") == 1
    tamper(settings.shadow_log, 3)
    # What was read before is read again once a day.
    assert evaluations(settings, instance, NOW + 120)["log_integrity"].passed
    tomorrow = evaluations(settings, instance, NOW + 86_400)["log_integrity"]
    assert (tomorrow.passed, tomorrow.severity) == (False, ERROR)
    assert figure(tomorrow, "count") >= 1
    assert "pipeline_v6_shadow.jsonl" in sample(tomorrow)[0]["finding"]
    # It does not recover by looking only at what came after.
    assert not evaluations(settings, instance, NOW + 86_460)["log_integrity"].passed


def test_a_log_that_was_cut_back_is_found_at_once(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    assert evaluations(settings, instance, NOW)["log_integrity"].passed
    settings.compare_diffs.write_bytes(b"")
    cut = evaluations(settings, instance, NOW + 60)["log_integrity"]
    assert not cut.passed
    assert "compare" in str(cut.description)


def test_where_the_executor_writes_the_shadow_log_the_compare_log_is_verified(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made, _ = simulated_home(tmp_path, seconds=600)
    evaluations(made, instance)
    external = settings_of(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    checked = evaluations(external, instance)["log_integrity"]
    assert checked.asset_key == dg.AssetKey("compare_diffs")
    assert checked.passed
