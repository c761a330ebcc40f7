"""Replays by month, and by executor and month in a fleet: each partition gives its rows of the one table."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.logs.replay_rows import REPLAY_VIEW, REPLAYS, replay_table
from pipeline_v6_dagster.storage.delta_table import open_table, query_tables
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.defs.ticking import quiet_instance
from pipeline_v6_dagster_tests.fleets import make_fleet
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home

pytestmark = pytest.mark.slow

MONTH = "2026-09-01"  # of START_TS


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with quiet_instance(tmp_path / "dagster") as instance:
        yield instance


def home_with_configurations(root: Path) -> Settings:
    settings, _ = simulated_home(root, seconds=1800)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(root, command).exit_code == 0
    for name, restricted in (("same", []), ("strict", ["SOLUSDT"])):
        folder = settings.config_dir / "replay" / name
        folder.mkdir(parents=True)
        limits = json.loads(settings.risk_limits.read_bytes()) | {"restricted_symbols": restricted}
        (folder / "risk_limits.json").write_text(json.dumps(limits))
        (folder / "pairs_universe.json").write_bytes(settings.pairs_universe.read_bytes())
    return settings


def replay(settings: Settings, instance: dg.DagsterInstance, partition: str) -> dg.AssetMaterialization:
    job = build_defs(settings, fixed(START_TS + 7200)).resolve_job_def("replay_results_job")
    result = job.execute_in_process(instance=instance, partition_key=partition)
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey("replay_results")
    return event.materialization


def stopped(settings: Settings) -> list[tuple[object, ...]]:
    table = open_table(replay_table(settings), REPLAYS)
    query = "SELECT executor, month, configuration, stopped > 0 FROM replays WHERE rule IS NULL ORDER BY 1, 2, 3"
    return query_tables({"replay_results": table}, {"replays": REPLAY_VIEW}, query).rows


def test_a_month_is_replayed_under_every_configuration(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = home_with_configurations(tmp_path / "home")
    materialization = replay(settings, instance, MONTH)
    assert materialization.partition == MONTH
    assert materialization.metadata["configurations"].value == 2
    expected = [("default", "2026-09", "same", False), ("default", "2026-09", "strict", True)]
    assert stopped(settings) == expected
    replay(settings, instance, MONTH)  # A backfill that is launched again replaces what it gave before.
    assert stopped(settings) == expected


def test_in_a_fleet_a_partition_is_an_executor_and_a_month(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    for name in ("alpha", "beta"):
        home_with_configurations(tmp_path / name)
    base, _ = make_fleet(tmp_path, ("alpha", "beta"))
    instance.add_dynamic_partitions("pipeline_v6_executor", ["alpha", "beta"])
    for name in ("alpha", "beta"):
        replay(base, instance, dg.MultiPartitionKey({"executor": name, "month": MONTH}))
    names = [(row[0], row[2]) for row in stopped(base)]
    assert names == [("alpha", "same"), ("alpha", "strict"), ("beta", "same"), ("beta", "strict")]


def test_a_backfill_launches_a_run_for_each_partition(tmp_path: Path) -> None:
    job = build_defs(home_with_configurations(tmp_path)).resolve_job_def("replay_results_job")
    assert job.backfill_policy == dg.BackfillPolicy.multi_run()
    assert job.partitions_def is not None
    assert MONTH in job.partitions_def.get_partition_keys()
