"""All of it materialized on data that the project makes."""

import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.stages.outputs.criteria_checks import criterion_names
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, make_settings, simulated_home


def run_job(settings: Settings, name: str, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_defs(settings).resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)


def list_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def read_metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, object]:
    (materialization,) = (
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(key)
    )
    return {name: value.value for name, value in materialization.metadata.items()}


def without(line: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in line.items() if name not in names}


def read_lines(path: Path, *volatile: str) -> list[dict[str, object]]:
    return [without(json.loads(line), *volatile) for line in path.read_text().splitlines()]


def test_a_clean_executor_is_green(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    assert run_job(settings, "shadow_job", instance).success
    result = run_job(settings, "compare_job", instance)
    assert result.success
    checks = list_checks(result)
    assert checks["warmup"].passed
    assert checks["no_upsizes"].passed
    assert read_metadata(result, "compare_summary")["status"] == "green"


def test_an_upsize_fails_its_check_with_the_failing_order_and_leaves_the_run_green(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, executor = simulated_home(tmp_path, upsize_share=0.05)
    assert executor.upsized_intent_ids
    assert run_job(settings, "shadow_job", instance).success
    result = run_job(settings, "compare_job", instance)
    assert result.success
    check = list_checks(result)["no_upsizes"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert check.metadata["count"].value == len(executor.upsized_intent_ids)
    named = {row.data["intent_id"] for row in check.metadata["sample"].records}  # type: ignore[union-attr]
    assert named <= set(executor.upsized_intent_ids)
    assert executor.upsized_intent_ids[-1] in named
    metadata = read_metadata(result, "compare_summary")
    assert metadata["status"] == "red"
    shown = {row.data["intent_id"] for row in metadata["upsizes"].records}  # type: ignore[attr-defined]
    assert executor.upsized_intent_ids[-1] in shown
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (run.tags["pipeline_v6/status"], run.tags["pipeline_v6/verdict"]) == ("red", "FAIL")
    assert metadata["upsize_count"] == len(executor.upsized_intent_ids)


def test_the_jobs_write_what_the_commands_write(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    by_jobs, _ = simulated_home(tmp_path / "jobs", upsize_share=0.05)
    by_commands, _ = simulated_home(tmp_path / "commands", upsize_share=0.05)
    assert run_job(by_jobs, "shadow_job", instance).success
    assert run_job(by_jobs, "compare_job", instance).success
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(by_commands.home, command).exit_code == 0
    volatile = ("logged_ts", "chain")
    assert read_lines(by_jobs.shadow_log, *volatile) == read_lines(by_commands.shadow_log, *volatile)
    *diffs, end = read_lines(by_jobs.compare_diffs, "ts", "chain")
    *other_diffs, other_end = read_lines(by_commands.compare_diffs, "ts", "chain")
    assert diffs == other_diffs
    assert end["diff_count"] == other_end["diff_count"] == len(diffs) > 0
    head, other_head = (json.loads(settings.shadow_head.read_text()) for settings in (by_jobs, by_commands))
    head["log"], other_head["log"] = without(head["log"], "chain"), without(other_head["log"], "chain")
    assert without(head, "generated_ts", "last_decision") == without(other_head, "generated_ts", "last_decision")
    summary, other_summary = (json.loads(settings.compare_summary.read_text()) for settings in (by_jobs, by_commands))
    assert without(summary, "generated_ts") == without(other_summary, "generated_ts")


def test_a_second_run_adds_nothing_and_keeps_its_data_version(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    versions = []
    for _ in range(2):
        shadow = run_job(settings, "shadow_job", instance)
        compare = run_job(settings, "compare_job", instance)
        versions.append(
            {
                event.asset_key.to_user_string(): event.materialization.tags["dagster/data_version"]
                for result in (shadow, compare)
                for event in result.get_asset_materialization_events()
                if event.asset_key is not None
            }
        )
    assert versions[0] == versions[1]
    assert set(versions[0]) == {"shadow_log", "shadow_head", "compare_diffs", "compare_summary", "rollout_state"}
    assert read_metadata(shadow, "shadow_log")["decided"] == 0
    assert read_metadata(compare, "compare_diffs")["new_diffs"] == 0


def unsynced(settings: Settings, instance: dg.DagsterInstance) -> set[str]:
    """The assets that the UI calls "Unsynced"."""
    graph = build_defs(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    keys = graph.get_all_asset_keys()
    return {key.to_user_string() for key in keys if resolver.get_status(key) is StaleStatus.STALE}


@pytest.mark.slow
def test_nothing_is_unsynced_until_a_configuration_file_changes(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    start_ts = START_TS
    settings, executor = simulated_home(tmp_path, start_ts=start_ts, seconds=1800)
    for job in ("shadow_job", "compare_job", "parity_report_job"):
        assert run_job(settings, job, instance).success
    assert unsynced(settings, instance) == set()
    # Trading goes on; the report is from the morning.
    write_feed(settings, executor.run(start_ts + 3600))
    for job in ("shadow_job", "compare_job", "shadow_job"):
        assert run_job(settings, job, instance).success
        assert unsynced(settings, instance) == set()
    limits = json.loads(settings.risk_limits.read_bytes())
    settings.risk_limits.write_text(json.dumps(limits | {"restricted_symbols": ["SOLUSDT"]}))
    assert run_job(settings, "shadow_job", instance).success
    assert unsynced(settings, instance) == {"compare_diffs"}
    write_feed(settings, executor.run(start_ts + 7200))
    for job in ("shadow_job", "compare_job"):
        assert run_job(settings, job, instance).success
    assert unsynced(settings, instance) == {"parity_report"}
    assert run_job(settings, "parity_report_job", instance).success
    assert unsynced(settings, instance) == set()


def test_before_the_executor_has_logged_anything_both_jobs_run_and_say_so(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    shadow = run_job(settings, "shadow_job", instance)
    compare = run_job(settings, "compare_job", instance)
    assert shadow.success and compare.success
    assert read_metadata(shadow, "shadow_log")["is_input_missing"] is True
    assert len(read_metadata(compare, "compare_diffs")["missing_inputs"]) > 0  # type: ignore[arg-type]
    assert read_metadata(compare, "compare_summary")["status"] == "no_data"


def test_an_asset_or_a_check_can_be_asked_for_alone(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    for job in ("shadow_job", "compare_job"):
        assert run_job(settings, job, instance).success
    written = settings.compare_diffs.read_bytes()
    defs = build_defs(settings)

    def run(selection: dg.AssetSelection) -> dg.ExecuteInProcessResult:
        alone = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("alone", selection=selection)]))
        return alone.resolve_job_def("alone").execute_in_process(instance=instance)

    summary = run(dg.AssetSelection.assets("compare_summary"))
    assert [event.asset_key for event in summary.get_asset_materialization_events()] == [dg.AssetKey("compare_summary")]
    assert set(list_checks(summary)) == {*criterion_names(), "verdict", "warmup"}
    check = run(dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("compare_summary"), "coverage")))
    assert not check.get_asset_materialization_events()
    assert set(list_checks(check)) == {"coverage"}
    assert settings.compare_diffs.read_bytes() == written


def test_what_was_written_stands_where_a_check_fails_on_it(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    assert run_job(settings, "shadow_job", instance).success
    head = settings.shadow_head.read_bytes()
    settings.order_metrics.unlink()
    settings.order_metrics.mkdir()
    result = run_job(settings, "shadow_job", instance)
    written = {
        event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key
    }
    assert (result.success, written) == (False, {"shadow_log", "shadow_head"})
    assert settings.shadow_head.read_bytes() != head


def test_a_bad_configuration_fails_the_run_and_writes_nothing(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.risk_limits.write_text('{"max_leverage": "three"}')
    result = run_job(settings, "shadow_job", instance)
    assert not result.success
    failure = result.failure_data_for_node("shadow")
    assert failure is not None and failure.error is not None and failure.error.cause is not None
    assert "max_leverage = 'three'" in failure.error.cause.message
    assert not settings.shadow_log.exists()


def test_an_external_shadow_log_is_compared_as_it_is(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    made, _ = simulated_home(tmp_path)
    assert pipeline_v6(made.home, "shadow").exit_code == 0
    external = make_settings(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    before = external.shadow_log.read_bytes()
    assert run_job(external, "shadow_job", instance).success
    assert run_job(external, "compare_job", instance).success
    assert external.shadow_log.read_bytes() == before


def test_the_orders_that_break_every_critical_criterion_stand_on_the_summary(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, _ = simulated_home(tmp_path)
    plan = (
        "simulate",
        "--at-once",
        "--seconds",
        "3600",
        "--rate",
        "0.1",
        "--seed",
        "1",
        "--fault",
        "opposite-side:0.05",
    )
    home = tmp_path / "opposite"
    assert pipeline_v6(home, *plan).exit_code == 0
    settings = make_settings(home, PIPELINE_V6_REPORTS_URL="https://desk.example/reports/")
    for job in ("shadow_job", "compare_job"):
        result = run_job(settings, job, instance)
        assert result.success
    check = list_checks(result)["same_side"]
    assert not check.passed
    metadata = read_metadata(result, "compare_summary")
    rows = [row.data for row in metadata["failing_orders"].records]  # type: ignore[attr-defined]
    failing = [row for row in rows if row["criterion"] == "same_side"]
    assert {row["decision_id"] for row in failing} == set(check.metadata["failing_ids"].value)  # type: ignore[arg-type]
    assert all(row["time"] and row["symbol"] and row["side"] for row in failing)
    assert list(rows[0]) == ["time", "symbol", "side", "ratio", "excess_usd", "decision_id", "intent_id", "criterion"]
    assert metadata["parity_report"] == "https://desk.example/reports/pipeline_v6_parity.html"
    assert "(https://desk.example/reports/pipeline_v6_parity.html#symbol-BTCUSDT) |" in str(metadata["by_symbol"])
