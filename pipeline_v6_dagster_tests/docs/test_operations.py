"""The commands of docs/operations.md for backing up, restoring and moving, run as written on homes with logs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.homes import START_TS, simulated_home

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
COMMANDS = ("shadow", "heartbeat", "compare")
HOUR_S = 3600.0

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync on this machine")


def list_blocks(section: str) -> list[str]:
    """The shell blocks of a section, but for the lines that ask for a machine with our units."""
    text = OPERATIONS.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^ *```shell\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [[line for line in block.splitlines() if not line.strip().startswith("systemctl ")] for block in blocks]
    return ["\n".join(block) for block in lines]


def sh(script: str, home: Path, backup: Path) -> str:
    ours = f"{sys.executable} -m pipeline_v6_dagster.cli.main"
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script.replace("/opt/pipeline_v6/.venv/bin/pipeline-v6", ours)],
        env={"PATH": "/usr/bin:/bin", "PIPELINE_V6_HOME": str(home), "BACKUP": str(backup)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


def run_all(settings: Settings) -> None:
    for command in COMMANDS:
        outcome = pipeline_v6(settings.home, command)
        assert outcome.exit_code == 0, outcome.stderr


def go_on(settings: Settings, executor: SimulatedExecutor, hours: float) -> None:
    write_feed(settings, executor.run(START_TS + hours * HOUR_S))


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_outcome(settings: Settings) -> tuple[list[str], list[tuple[Any, ...]]]:
    """What was decided, in order, and what was compared, in order."""
    decided = [row["decision_id"] for row in read_rows(settings.shadow_log)]
    compared = [
        (row["decision_id"], row["mismatch_kind"], row["size_pct_diff"], row["slippage_diff_bps"])
        for row in read_rows(settings.compare_diffs)
        if "mismatch_kind" in row
    ]
    return decided, compared


def flip_a_line(path: Path) -> None:
    """Another order in the place of the first one, in as many bytes and of the same time."""
    stat = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"BUY"', b'"SEL"', 1) if b'"BUY"' in content else content[:-9] + b"X" * 9)
    assert path.stat().st_size == len(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@needs_rsync
@pytest.mark.parametrize(
    "damage",
    [
        "a line of each log changed",
        pytest.param("our logs gone", marks=pytest.mark.slow),
        pytest.param("the home gone", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_restored_home_is_whole_and_goes_on_with_nothing_lost_and_nothing_twice(tmp_path: Path, damage: str) -> None:
    untouched, its_executor = simulated_home(tmp_path / "untouched", upsize_share=0.05)
    settings, executor = simulated_home(tmp_path / "home", upsize_share=0.05)
    back_up, restore = list_blocks("Back up and restore")
    backup = tmp_path / "backup"
    backup.mkdir()
    run_all(settings)
    sh(back_up, settings.home, backup)
    go_on(settings, executor, 1.5)
    run_all(settings)
    # The next backup meets a line that is being written.
    whole = settings.shadow_log.read_bytes()
    settings.shadow_log.write_bytes(whole + whole[:100])
    sh(back_up, settings.home, backup)
    settings.shadow_log.write_bytes(whole)
    go_on(settings, executor, 2)
    run_all(settings)

    if damage == "the home gone":
        shutil.rmtree(settings.home)
    elif damage == "our logs gone":
        for path in settings.logs_dir.glob("pipeline_v6_*"):
            path.unlink()
        shutil.rmtree(settings.shadow_head.parent)
    else:
        for path in (settings.shadow_log, settings.compare_diffs):
            flip_a_line(path)
        assert pipeline_v6(settings.home, "verify").exit_code == 65
    sh(restore, settings.home, backup)

    if damage == "the home gone":
        # What the executor logged after the backup is gone with it: the replacement logs it, so that both are alike.
        shutil.rmtree(settings.logs_dir / "execution")
        write_feed(settings, SimulatedExecutor(7, START_TS, 0.1, 0.05).run(START_TS + 2 * HOUR_S))
    run_all(settings)
    assert pipeline_v6(settings.home, "verify").exit_code == 0
    for hours in (1, 1.5, 2):
        go_on(untouched, its_executor, hours)
        run_all(untouched)
    assert read_outcome(settings) == read_outcome(untouched)
    decided, _ = read_outcome(settings)
    assert len(set(decided)) == len(decided) > 500
    newest = json.loads((backup / "verified.json").read_text(encoding="utf-8"))
    links = [log["newest"] for log in newest["logs"] if log["newest"]]
    logs = (settings.shadow_log, settings.compare_diffs, settings.alert_outbox)
    assert len(links) == len(logs)
    written = "".join(log.read_text(encoding="utf-8") for log in logs)
    assert all(link in written for link in links)


def old_outputs(settings: Settings) -> dict[str, bytes]:
    """What the two daemons left: fake decisions, the same diffs again, zeros for what was not measured."""
    beat = {"symbol": "HEARTBEAT", "heartbeat": True, "intent": {"side": "BUY", "qty": 0.0}, "timestamp": START_TS}
    diff = {"symbol": "BTCUSDT", "veto_mismatch": False, "size_pct_diff": 0.0, "slippage_diff_bps": 0.0}
    none = {"mean": 0.0, "p50": 0.0, "p95": 0.0}
    summary = {"generated_ts": 4e9, "sample_size": 500, "veto_mismatch_pct": 0.0, "size_diff_stats": none}
    summary |= {"slippage_diff_bps": none, "sizing_diff_stats": {"upsize_count": 0}, "is_warmup": False}
    files: dict[Path, list[dict[str, Any]]] = {
        settings.shadow_log: [beat] * 3,
        settings.shadow_log.with_suffix(".1.jsonl"): [beat] * 3,
        settings.compare_diffs: [diff] * 500,
        settings.compare_diffs.with_suffix(".1.jsonl"): [diff] * 500,
        settings.shadow_head: [{"generated_ts": 4e9, "total": 3, "allowed": 3, "vetoed": 0, "last_decision": beat}],
        settings.compare_summary: [summary],
    }
    settings.shadow_head.parent.mkdir(parents=True, exist_ok=True)
    for path, rows in files.items():
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return {path.name: path.read_bytes() for path in files}


def test_the_move_from_the_old_daemons_keeps_their_files_and_decides_all_there_is(tmp_path: Path) -> None:
    settings, executor = simulated_home(tmp_path / "home", upsize_share=0.05)
    old = old_outputs(settings)
    for command in ("shadow", "compare"):
        refused = pipeline_v6(settings.home, command)
        assert (refused.exit_code, refused.stderr.count("\n")) == (65, 1)
        assert "holds lines of another program; move it elsewhere" in refused.stderr
    assert {path.name: path.read_bytes() for path in settings.logs_dir.rglob("pipeline_v6_*.json*")} == old

    move, decide = list_blocks("Move from the two old daemons")
    sh(move, settings.home, tmp_path)
    kept = {path.name: path.read_bytes() for path in (settings.home / "logs_before_v6").iterdir()}
    assert {name: content for name, content in kept.items() if name in old} == old
    assert not list(settings.logs_dir.rglob("pipeline_v6_*.json*"))
    assert pipeline_v6(settings.home, "status").exit_code == 3
    sh(decide, settings.home, tmp_path)

    decided, compared = read_outcome(settings)
    attempts = len(read_rows(settings.order_attempts))
    assert len(decided) == len(set(decided)) == attempts
    assert len({decision for decision, *_ in compared}) == attempts
    summary = json.loads(settings.compare_summary.read_text(encoding="utf-8"))
    assert summary["sizing_diff_stats"]["upsize_count"] == len(executor.upsized_intent_ids) > 0
    assert (pipeline_v6(settings.home, "status").exit_code, pipeline_v6(settings.home, "verify").exit_code) == (1, 0)
    before = read_outcome(settings)
    run_all(settings)
    assert read_outcome(settings) == before
