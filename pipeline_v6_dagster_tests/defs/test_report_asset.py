"""The reports as assets, and the jobs that write them."""

import json
import re
from base64 import b64decode
from pathlib import Path

import dagster as dg
import pytest

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home


@pytest.mark.slow
def test_its_thumbnail_and_figures_show_in_the_ui(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, executor = simulated_home(tmp_path, upsize_share=0.05)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    result = build_defs(settings).resolve_job_def("parity_report_job").execute_in_process(instance=instance)
    (materialization,) = result.asset_materializations_for_node("parity_report")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert Path(str(metadata["path"])).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (metadata["status"], metadata["upsizes"]) == ("red", len(executor.upsized_intent_ids))
    picture = re.fullmatch(r"!\[red\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", str(metadata["thumbnail"]))
    assert picture is not None
    assert b64decode(picture[1]).startswith(b"\x89PNG")
    # A browser refuses to open a file from a page: a link stands there only where the report is served.
    assert "page" not in metadata
    served = build_defs(make_settings(tmp_path, PIPELINE_V6_REPORTS_URL="https://desk.example/reports"))
    result = served.resolve_job_def("parity_report_job").execute_in_process(instance=instance)
    (materialization,) = result.asset_materializations_for_node("parity_report")
    assert materialization.metadata["page"].value == "https://desk.example/reports/pipeline_v6_parity.html"


def test_a_replay_takes_its_configuration_from_the_run(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(tmp_path, command).exit_code == 0
    (tmp_path / "strict").mkdir()
    limits = json.loads(settings.risk_limits.read_bytes()) | {"restricted_symbols": ["SOLUSDT"]}
    (tmp_path / "strict" / "risk_limits.json").write_text(json.dumps(limits))
    (tmp_path / "strict" / "pairs_universe.json").write_bytes(settings.pairs_universe.read_bytes())
    result = (
        build_defs(settings)
        .resolve_job_def("replay_report_job")
        .execute_in_process(
            instance=instance,
            run_config={"ops": {"replay_report": {"config": {"config_dir": "strict"}}}},
        )
    )
    (materialization,) = result.asset_materializations_for_node("replay_report")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert int(str(metadata["stopped"])) > 20
    answer = json.loads(Path(str(metadata["path"])).read_bytes())
    assert answer["flips"]["by_symbol"][0]["symbol"] == "SOLUSDT"


def test_everything_can_be_materialized_without_configuration(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings, _ = simulated_home(tmp_path)
    defs = build_defs(settings)
    every = dg.Definitions.merge(
        defs, dg.Definitions(jobs=[dg.define_asset_job("everything", selection=dg.AssetSelection.all())])
    )
    result = every.resolve_job_def("everything").execute_in_process(instance=instance)
    (replayed,) = result.asset_materializations_for_node("replay_report")
    assert (replayed.metadata["stopped"].value, replayed.metadata["let_through"].value) == (0, 0)
    # A drill takes minutes, so that it is skipped beside other assets.
    assert not result.asset_materializations_for_node("drill")
    assert "drill_catches_faults" not in {check.check_name for check in result.get_asset_check_evaluations()}
