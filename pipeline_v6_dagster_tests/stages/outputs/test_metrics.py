"""The summary as Prometheus metrics."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.summary import SymbolSlice
from pipeline_v6_dagster.stages.outputs.metrics import build_samples, encode_metrics
from pipeline_v6_dagster.stages.outputs.status import read_status
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, make_settings, simulated_home

NOW = START_TS + 3600
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Value by name and labels, as Prometheus reads the text."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings, _ = simulated_home(tmp_path_factory.mktemp("home"), upsize_share=0.05)
    for command in ("shadow", "heartbeat", "compare"):
        assert pipeline_v6(settings.home, command).exit_code == 0
    return settings


def test_every_figure_is_the_summarys(red: Settings) -> None:
    report = read_status(red, NOW)
    summary = json.loads(red.compare_summary.read_bytes())
    found = parsed(encode_metrics(report).decode())
    assert found["pipeline_v6_status", (("status", "red"),)] == 1
    assert found["pipeline_v6_status", (("status", "green"),)] == 0
    assert found["pipeline_v6_verdict", (("verdict", "FAIL"),)] == 1
    assert found["pipeline_v6_exit_code", ()] == report.exit_code
    assert found["pipeline_v6_upsizes", ()] == summary["sizing_diff_stats"]["upsize_count"] > 0
    assert found["pipeline_v6_sample_size", ()] == summary["sample_size"]
    assert found["pipeline_v6_veto_mismatch_ratio", ()] == pytest.approx(summary["veto_mismatch_pct"] / 100)
    assert found["pipeline_v6_slippage_diff_bps", (("quantile", "0.95"),)] == summary["slippage_diff_bps"]["p95"]
    assert found["pipeline_v6_summary_timestamp_seconds", ()] == summary["generated_ts"]
    assert found["pipeline_v6_decisions_seen_total", ()] == summary["totals"]["decisions"]
    for symbol, part in summary["by_symbol"].items():
        assert found["pipeline_v6_symbol_decisions", (("symbol", symbol),)] == part["sample_size"]
    for name, counts in summary["input_quality"].items():
        assert found["pipeline_v6_input_lines_total", (("input", name),)] == counts["lines"]


def test_what_was_not_measured_is_absent(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    assert pipeline_v6(tmp_path, "compare").exit_code == 0
    found = parsed(encode_metrics(read_status(settings, NOW)).decode())
    names = {name for name, _ in found}
    assert "pipeline_v6_sample_size" in names
    assert not {"pipeline_v6_veto_mismatch_ratio", "pipeline_v6_sizing_diff_ratio"} & names


def test_before_there_is_a_summary_the_status_says_so(tmp_path: Path) -> None:
    found = parsed(encode_metrics(read_status(make_settings(tmp_path), NOW)).decode())
    assert found["pipeline_v6_status", (("status", "no_data"),)] == 1
    assert "pipeline_v6_summary_timestamp_seconds" not in {name for name, _ in found}


def test_a_hostile_symbol_is_a_label_and_nothing_else(red: Settings) -> None:
    report = read_status(red, NOW)
    assert report.summary is not None
    symbol = 'X"} 1\npipeline_v6_upsizes 0\\'
    report.summary.by_symbol = {
        symbol: SymbolSlice(sample_size=3, veto_mismatch_pct=None, upsize_count=0, impact_usd=None)
    }
    found = parsed(encode_metrics(report).decode())
    assert found["pipeline_v6_symbol_decisions", (("symbol", symbol),)] == 3
    assert found["pipeline_v6_upsizes", ()] > 0


def test_the_command_prints_them_and_replaces_a_file(red: Settings, tmp_path: Path) -> None:
    outcome = pipeline_v6(red.home, "metrics")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert ("pipeline_v6_upsizes", ()) in parsed(outcome.stdout)
    path = tmp_path / "collector" / "pipeline_v6.prom"
    path.parent.mkdir()
    written = pipeline_v6(red.home, "metrics", "--output", str(path))
    assert written.exit_code == 0
    assert set(parsed(path.read_text())) == set(parsed(outcome.stdout))
    assert path.stat().st_mode & 0o444 == 0o444
    assert [one.name for one in path.parent.iterdir()] == ["pipeline_v6.prom"]
    samples = json.loads(pipeline_v6(red.home, "metrics", "--json").stdout)["metrics"]
    assert {sample["name"] for sample in samples} == {name for name, _ in parsed(outcome.stdout)}
    assert len(samples) == len(build_samples(read_status(red, NOW)))
