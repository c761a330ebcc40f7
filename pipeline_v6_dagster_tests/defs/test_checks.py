"""Each check on what the stages wrote: passes, fails, is not measured; what it says and what it carries."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import acknowledge
from pipeline_v6_dagster.stages.outputs.criteria_checks import criterion_names
from pipeline_v6_dagster.stages.outputs.links import runbook_entry
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings, simulated_home

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
NOW = START_TS + 3600 + 2000
# An hour of a clean executor: what only more evidence can give.
NOT_YET = {"decisions_agree", "long_enough", "verdict"}

Checks = dict[str, dg.AssetCheckEvaluation]


def evaluations(settings: Settings, instance: dg.DagsterInstance, now: float = NOW, *jobs: str) -> Checks:
    """The jobs, by default both, and what their checks said."""
    found = {}
    defs = build_defs(settings, fixed(now))
    for name in jobs or ("shadow_job", "compare_job"):
        result = defs.resolve_job_def(name).execute_in_process(instance=instance)
        found.update({each.check_name: each for each in result.get_asset_check_evaluations()})
    return found


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """What the checks say of a clean executor."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("clean"))
    with dg.DagsterInstance.ephemeral() as instance:
        return evaluations(settings, instance)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Checks:
    """What the checks say before the executor has logged anything."""
    settings, _ = simulated_home(tmp_path_factory.mktemp("empty"), seconds=0)
    settings.order_attempts.unlink(missing_ok=True)
    with dg.DagsterInstance.ephemeral() as instance:
        return evaluations(settings, instance)


def figure(check: dg.AssetCheckEvaluation, name: str) -> Any:
    return check.metadata[name].value


def sample(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    table = check.metadata["sample"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def test_a_clean_executor_lacks_nothing_but_more_evidence(clean: Checks) -> None:
    assert {name for name, check in clean.items() if not check.passed} == NOT_YET
    assert {clean[name].severity for name in NOT_YET} == {WARN}
    assert set(clean) == {*criterion_names(), "verdict", "warmup", "executor_alive", "rollout_within_evidence"}


def test_a_check_that_passes_counts_no_failing_order_and_carries_a_figure_to_plot(clean: Checks) -> None:
    for name, check in clean.items():
        if check.passed:
            assert figure(check, "count") == 0, name
        plotted = (dg.IntMetadataValue, dg.FloatMetadataValue)
        assert any(isinstance(value, plotted) for value in check.metadata.values()), name


def test_a_check_that_fails_says_what_was_measured_its_limit_and_what_to_do(clean: Checks) -> None:
    check = clean["long_enough"]
    assert "Measured: 0.0 days, decisions on 1 of 1; limit: 14 days" in str(check.description)
    (defined,) = (each for each in CRITERIA if each.name == "long_enough")
    assert figure(check, "what_to_do") == defined.to_do
    assert check.metadata["runbook"] == dg.MetadataValue.md(str(runbook_entry("long_enough")))


def test_the_runbook_is_where_the_setting_says(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=60, PIPELINE_V6_RUNBOOK_URL="https://desk.example/runbook")
    found = evaluations(settings, instance)
    assert figure(found["warmup"], "runbook") == "https://desk.example/runbook#warmup"
    assert figure(found["long_enough"], "runbook") == "https://desk.example/runbook#long_enough"


def test_upsizes_fail_with_the_exact_count_a_capped_sample_and_who_acknowledged_them(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, executor = simulated_home(tmp_path, upsize_share=0.3)
    found = evaluations(settings, instance)
    upsized = found["no_upsizes"]
    assert (upsized.passed, upsized.severity) == (False, ERROR)
    assert figure(upsized, "count") == len(executor.upsized_intent_ids) > 20
    assert len(sample(upsized)) == 20
    assert len(figure(upsized, "failing_ids")) == 20
    assert {row["ratio"] for row in sample(upsized)} == {2.0}
    assert (found["verdict"].passed, found["verdict"].severity) == (False, ERROR)
    assert "FAIL: no_upsizes: " in str(found["verdict"].description)
    assert "Acknowledged" not in str(upsized.description)
    acknowledge(settings, Acknowledgement(ts=NOW, criterion="no_upsizes", by="Ada", why="known", until=NOW + 3600))
    again = evaluations(settings, instance, NOW + 60, "compare_job")["no_upsizes"]
    assert not again.passed
    assert str(again.description).endswith(
        ". Acknowledged by Ada on 2026-09-21 15:46:40 UTC: known (not repeated before 2026-09-21 16:46:40 UTC)"
    )


def test_a_critical_criterion_is_an_error_also_during_the_warmup(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600, upsize_share=0.5)
    found = evaluations(settings, instance)
    assert (found["no_upsizes"].passed, found["no_upsizes"].severity) == (False, ERROR)
    assert (found["warmup"].passed, found["warmup"].severity) == (False, WARN)
    assert figure(found["warmup"], "count") == 200 - figure(found["warmup"], "sample_size")


def test_orders_that_nobody_logged_fail_coverage_and_carry_no_verdict(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.orders_executed.unlink()
    found = evaluations(settings, instance)
    assert (found["coverage"].passed, found["coverage"].severity) == (False, WARN)
    assert (found["verdict"].passed, found["verdict"].severity) == (False, WARN)
    assert "coverage: no order of this epoch was executed" in str(found["verdict"].description)


def test_what_was_not_measured_passes_nothing(empty: Checks) -> None:
    passed = {name for name, check in empty.items() if check.passed}
    # That no line of ours was changed, no input lost, no key misread and nothing allowed is known without a row.
    assert passed == {"logs_intact", "inputs_whole", "limits_understood", "rollout_within_evidence"}
    unmeasured = {name for name, check in empty.items() if "is_measured" in check.metadata}
    assert all(figure(empty[name], "is_measured") is False for name in unmeasured)
    assert unmeasured >= {"same_side", "no_upsizes", "coverage", "decisions_agree", "verdict", "executor_alive"}
    for name in unmeasured:
        assert not empty[name].passed
        assert str(empty[name].description).startswith("not measured"), name
        assert "value" not in empty[name].metadata


def test_a_paused_executor_leaves_the_head_fresh_and_the_check_says_so(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    last = START_TS + 3600
    assert evaluations(settings, instance, last + 1800, "shadow_job")["executor_alive"].passed
    silent = evaluations(settings, instance, last + 4000, "shadow_job")["executor_alive"]
    assert (silent.passed, silent.severity) == (False, WARN)
    assert "3,600 s at most" in str(silent.description)
    assert figure(silent, "newest_attempt_age_s") == pytest.approx(4000, abs=120)
    assert json.loads(settings.shadow_head.read_text())["generated_ts"] == last + 4000
    early = evaluations(settings, instance, last - 4000, "shadow_job")["executor_alive"]
    assert not early.passed
    assert "s in the future" in str(early.description)


def test_an_executor_that_never_logged_is_not_alive(empty: Checks) -> None:
    alive = empty["executor_alive"]
    assert not alive.passed
    assert figure(alive, "what_to_do") == GUIDANCE["executor_alive"].todo
    assert "holds no attempt with a time" in str(alive.description)
    assert "newest_attempt_age_s" not in alive.metadata


def tamper(path: Path, number: int) -> None:
    """Change a digit of a line that was written."""
    lines = path.read_text().splitlines(keepends=True)
    place = lines[number].index('"price":') + len('"price":')
    digit = lines[number][place]
    lines[number] = f"{lines[number][:place]}{9 - int(digit)}{lines[number][place + 1 :]}"
    path.write_text("".join(lines))


def test_the_chains_are_followed_from_the_last_run_on_and_from_their_beginning_once_a_day(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    found = evaluations(settings, instance)["logs_intact"]
    assert found.passed
    first = figure(found, "remembered")["newest"]
    found = evaluations(settings, instance, NOW + 30, "compare_job")["logs_intact"]
    assert found.passed
    assert figure(found, "remembered")["newest"] != first
    tamper(settings.shadow_log, 3)
    # What was read before is read again once a day.
    assert evaluations(settings, instance, NOW + 120, "compare_job")["logs_intact"].passed
    tomorrow = evaluations(settings, instance, NOW + 86_400, "compare_job")["logs_intact"]
    assert (tomorrow.passed, tomorrow.severity) == (False, WARN)
    assert figure(tomorrow, "count") >= 1
    assert "pipeline_v6_shadow.jsonl" in str(tomorrow.description)
    # It does not recover by looking only at what came after.
    assert not evaluations(settings, instance, NOW + 86_460, "compare_job")["logs_intact"].passed


def test_the_chains_are_followed_from_their_beginning_if_the_clock_was_ahead(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    assert evaluations(settings, instance, NOW + 315_360_000)["logs_intact"].passed
    tamper(settings.shadow_log, 3)
    assert not evaluations(settings, instance, NOW, "compare_job")["logs_intact"].passed


def test_a_log_that_was_cut_back_is_found_at_once(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    assert evaluations(settings, instance)["logs_intact"].passed
    settings.compare_diffs.write_bytes(b"")
    cut = evaluations(settings, instance, NOW + 60, "compare_job")["logs_intact"]
    assert not cut.passed
    assert "compare" in str(cut.description)


def test_where_the_executor_writes_the_shadow_log_the_compare_log_is_verified(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    made, _ = simulated_home(tmp_path, seconds=600)
    evaluations(made, instance, NOW, "shadow_job")
    external = make_settings(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    tamper(external.shadow_log, 3)
    checked = evaluations(external, instance)["logs_intact"]
    assert checked.asset_key == dg.AssetKey("compare_summary")
    assert checked.passed
