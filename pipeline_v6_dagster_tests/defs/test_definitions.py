"""The graph as a contract: what other tools and the docs name must not change unnoticed."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.defs.jobs import CHECKS_OF_JOB
from pipeline_v6_dagster.stages.outputs.criteria_checks import criterion_names
from pipeline_v6_dagster_tests.homes import make_settings

REPO = Path(__file__).parents[2]

LINEAGE = {
    "order_attempts": ("sources", set()),
    "orders_executed": ("sources", set()),
    "order_metrics": ("sources", set()),
    "risk_vetoes": ("sources", set()),
    "position_state": ("sources", set()),
    "risk_limits": ("sources", set()),
    "pairs_universe": ("sources", set()),
    "shadow_log": (
        "shadow",
        {"order_attempts", "orders_executed", "order_metrics", "position_state", "risk_limits", "pairs_universe"},
    ),
    "shadow_head": ("shadow", {"shadow_log"}),
    "compare_diffs": ("compare", {"shadow_log", "orders_executed", "risk_vetoes", "risk_limits", "pairs_universe"}),
    "compare_summary": ("compare", {"compare_diffs"}),
    "rollout_state": ("rollout", {"compare_summary"}),
    "parity_report": ("report", {"compare_diffs", "compare_summary"}),
    "replay_report": ("report", {"order_attempts", "orders_executed", "risk_vetoes", "compare_diffs"}),
    "replay_results": ("report", {"order_attempts", "orders_executed", "compare_diffs"}),
    "parity_history": ("history", {"compare_diffs", "compare_summary"}),
    "drill": ("drill", {"order_attempts", "orders_executed", "order_metrics", "risk_vetoes", "position_state"}),
}


CHECKS = {
    ("shadow_head", "executor_alive"),
    ("drill", "drill_catches_faults"),
    ("rollout_state", "rollout_within_evidence"),
    *(("compare_summary", name) for name in (*criterion_names(), "verdict", "warmup")),
}


ALWAYS_ON = {"maintenance_schedule", "parity_report_schedule", "drill_schedule", "parity_history_schedule"}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(make_settings(tmp_path_factory.mktemp("home")))


def test_the_lineage_is_the_contract(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    lineage = {
        key.to_user_string(): (
            graph.get(key).group_name,
            {parent.to_user_string() for parent in graph.get(key).parent_keys},
        )
        for key in graph.get_all_asset_keys()
    }
    assert lineage == LINEAGE


def test_every_asset_tells_an_operator_what_it_is(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners == ["team:trading-ops"], key
        assert node.kinds & {"json", "jsonl", "html", "deltalake"}, key
        assert node.tags.get("written_by") in {"executor", "ops", "pipeline_v6"}, key


def test_everything_that_can_be_materialized_can_be_so_in_one_run(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    # One with partitions turns "Materialize all" into a dialog about them.
    assert [key for key in graph.executable_asset_keys if graph.get(key).is_partitioned] == []
    everything = dg.Definitions.merge(defs, dg.Definitions(jobs=[dg.define_asset_job("everything")]))
    assert dg.validate_run_config(everything.resolve_job_def("everything"), {})


def test_jobs_sensors_schedules_and_checks(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    assert {job for job in repository.job_names if not job.startswith("__")} == {
        "shadow_job",
        "compare_job",
        "maintenance_job",
        "parity_report_job",
        "replay_report_job",
        "replay_results_job",
        "drill_job",
        "parity_history_job",
    }
    sensors = {sensor.name: sensor for sensor in repository.sensor_defs}
    assert set(sensors) == {
        "shadow_heartbeat_sensor",
        "compare_sensor",
        "parity_alert_sensor",
        "rollout_sensor",
    }
    assert all(sensor.default_status is dg.DefaultSensorStatus.RUNNING for sensor in sensors.values())
    schedules = {schedule.name: schedule for schedule in repository.schedule_defs}
    assert {name: schedule.cron_schedule for name, schedule in schedules.items()} == {
        "shadow_heartbeat_schedule": "*/10 * * * *",
        "compare_schedule": "*/15 * * * *",
        "maintenance_schedule": "17 3 * * *",
        "parity_report_schedule": "0 1 * * *",
        "drill_schedule": "17 4 * * 0",
        "parity_history_schedule": "23 * * * *",
    }
    on = {name for name, each in schedules.items() if each.default_status is dg.DefaultScheduleStatus.RUNNING}
    assert on == ALWAYS_ON
    assert all(schedule.execution_timezone == "UTC" for schedule in schedules.values())
    checks = {(key.asset_key.to_user_string(), key.name) for key in defs.resolve_asset_graph().asset_check_keys}
    assert checks == CHECKS


def test_every_check_tells_what_holds_and_what_to_do(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.asset_check_keys:
        description = graph.get_check_spec(key).description
        assert description is not None and description.startswith("Passes when "), key
        assert " If not: " in description, key


@pytest.mark.parametrize(
    ("seconds", "warn_s", "fail_s"), [(600, 1200, 1800), (30, 60, 90), (25, None, 75), (5, None, 60)]
)
def test_head_and_summary_are_fresh_for_three_intervals_and_at_least_a_minute(
    tmp_path: Path, seconds: int, warn_s: int | None, fail_s: int
) -> None:
    settings = make_settings(
        tmp_path, PIPELINE_SHADOW_HEARTBEAT_INTERVAL=str(seconds), PIPELINE_COMPARE_INTERVAL=str(seconds)
    )
    graph = build_defs(settings).resolve_asset_graph()
    for name in ("shadow_head", "compare_summary"):
        policy = graph.get(dg.AssetKey(name)).freshness_policy
        warn = timedelta(seconds=warn_s) if warn_s is not None else None
        assert policy == dg.FreshnessPolicy.time_window(timedelta(seconds=fail_s), warn)


def test_a_shadow_log_of_another_program_is_observed_not_made(tmp_path: Path) -> None:
    defs = build_defs(make_settings(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external"))
    graph = defs.resolve_asset_graph()
    assert not graph.get(dg.AssetKey("shadow_log")).is_materializable
    shadow_job = defs.resolve_job_def("shadow_job")
    assert shadow_job.asset_layer.executable_asset_keys == {dg.AssetKey("shadow_head")}


def test_an_interval_that_cron_cannot_say_is_refused_with_a_sentence_and_has_its_sensor_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(tmp_path, PIPELINE_SHADOW_HEARTBEAT_INTERVAL="20", PIPELINE_COMPARE_INTERVAL="90")
    with caplog.at_level("WARNING", logger="dagster.pipeline_v6"):
        repository = build_defs(settings).get_repository_def()
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}_schedule is not made. A schedule cannot say {seconds} s: cron knows whole minutes only. The sensor"
        " serves it; for a schedule give the interval as a multiple of 60."
        for name, seconds in (("shadow_heartbeat", 20), ("compare", 90))
    ]
    names = {schedule.name for schedule in repository.schedule_defs}
    assert names == ALWAYS_ON
    polls = {sensor.name: sensor.minimum_interval_seconds for sensor in repository.sensor_defs}
    assert polls == {
        "shadow_heartbeat_sensor": 5,
        "compare_sensor": 15,
        "parity_alert_sensor": 15,
        "rollout_sensor": 15,
    }
    (compare,) = (sensor for sensor in repository.sensor_defs if sensor.name == "compare_sensor")
    assert "A schedule cannot say 90 s" in str(compare.description)


def test_definitions_load_without_a_warning_and_without_a_home(tmp_path: Path) -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            "import pipeline_v6_dagster.definitions as d; d.defs.get_repository_def()",
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (loaded.returncode, loaded.stderr) == (0, "")


def test_a_job_evaluates_the_checks_of_its_assets_without_selecting_them(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for name, checks in CHECKS_OF_JOB.items():
        layer = defs.resolve_job_def(name).asset_layer
        assets = layer.executable_asset_keys
        assert {key.name for key in graph.asset_check_keys if key.asset_key in assets} == set(checks)
