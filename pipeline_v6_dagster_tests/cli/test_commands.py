"""The commands as a user types them: what they print, what they leave, how they exit."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_v6_dagster_tests.cli.running import pipeline_v6
from pipeline_v6_dagster_tests.fleets import write_fleet
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home

# A verdict on an hour: one clean block of 40 decisions is enough where a mismatch rate of 0.9 is allowed.
EASY = {
    "PIPELINE_VERDICT_MAX_MISMATCH": "0.9",
    "PIPELINE_VERDICT_ERROR_RATE": "0.5",
    "PIPELINE_VERDICT_MIN_DAYS": "0.01",
    "PIPELINE_VERDICT_MIN_ORDERS": "1",
    "PIPELINE_VERDICT_MIN_ORDERS_PER_SYMBOL": "1",
}
COMMANDS = ("shadow", "heartbeat", "compare", "status", "doctor", "verify")


def all_stages(home: Path, **environ: str) -> None:
    for command in ("shadow", "heartbeat", "compare"):
        outcome = pipeline_v6(home, command, **environ)
        assert (outcome.exit_code, outcome.stderr) == (0, "")


def test_from_attempts_to_a_green_verdict(tmp_path: Path) -> None:
    simulated_home(tmp_path, start_ts=time.time() - 3700)
    all_stages(tmp_path, **EASY)
    outcome = pipeline_v6(tmp_path, "status", **EASY)
    assert outcome.stdout.splitlines()[:2] == [
        "v6 may go live: every criterion holds.",
        "status green, verdict PASS",
    ], outcome.stdout
    assert outcome.exit_code == 0


def test_status_names_the_orders_that_were_upsized_and_exits_with_1(tmp_path: Path) -> None:
    _, executor = simulated_home(tmp_path, upsize_share=0.05)
    all_stages(tmp_path)
    outcome = pipeline_v6(tmp_path, "status")
    assert outcome.exit_code == 1
    for intent_id in executor.upsized_intent_ids[-20:]:
        assert intent_id in outcome.stdout


def test_a_second_run_adds_only_the_heartbeat_line(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path)
    all_stages(tmp_path)
    decisions, diffs = settings.shadow_log.read_text(), settings.compare_diffs.read_text()
    all_stages(tmp_path)
    assert settings.shadow_log.read_text() == decisions
    again = settings.compare_diffs.read_text()
    assert again.startswith(diffs)
    (line,) = again[len(diffs) :].splitlines()
    assert json.loads(line)["heartbeat"] is True


def test_status_exits_with_2_during_warmup(tmp_path: Path) -> None:
    simulated_home(tmp_path, seconds=600)
    all_stages(tmp_path)
    outcome = pipeline_v6(tmp_path, "status")
    assert outcome.exit_code == 2
    assert "warmup" in outcome.stdout


def test_status_exits_with_3_before_there_is_anything(tmp_path: Path) -> None:
    assert pipeline_v6(tmp_path, "status").exit_code == 3


def test_without_any_log_every_command_runs_and_says_so(tmp_path: Path) -> None:
    simulated_home(tmp_path, seconds=0)
    shadow = pipeline_v6(tmp_path, "shadow")
    assert (shadow.exit_code, shadow.stderr) == (0, "")
    assert "orders_attempted.jsonl: not there yet" in shadow.stdout
    heartbeat = pipeline_v6(tmp_path, "heartbeat")
    assert heartbeat.exit_code == 0
    assert "no decisions yet" in heartbeat.stdout
    compare = pipeline_v6(tmp_path, "compare")
    assert compare.exit_code == 0
    assert "orders_executed.jsonl: not there yet" in compare.stdout
    assert pipeline_v6(tmp_path, "status").exit_code == 3


def test_a_log_of_nothing_but_garbage_is_counted_and_decided_is_nothing(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    settings.order_attempts.parent.mkdir(parents=True)
    settings.order_attempts.write_bytes(b'not json\n[1]\n{"qty": "a"}\n\xff\xfe\n\n{"unfinished": ')
    outcome = pipeline_v6(tmp_path, "shadow", "--json")
    assert outcome.exit_code == 0
    run = json.loads(outcome.stdout)
    assert run["decided"] == 0
    assert run["rejected"] == {"not_json": 1, "not_object": 1, "bad_field": 1, "not_utf8": 1, "blank": 1}
    assert not settings.shadow_log.exists()


@pytest.mark.parametrize("command", ["shadow", "compare"])
def test_a_bad_configuration_is_one_line_that_names_every_problem(tmp_path: Path, command: str) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.risk_limits.write_text('{"max_leverage": "three", "nav_freshness_seconds": -1}')
    settings.pairs_universe.unlink()
    outcome = pipeline_v6(tmp_path, command)
    assert (outcome.exit_code, outcome.stdout) == (65, "")
    assert outcome.stderr.count("\n") == 1
    for part in ("max_leverage = 'three'", "nav_freshness_seconds = -1", "pairs_universe.json: is missing"):
        assert part in outcome.stderr
    assert not settings.shadow_log.exists()
    assert not settings.compare_diffs.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_settings_are_named_all_at_once(tmp_path: Path, command: str) -> None:
    outcome = pipeline_v6(tmp_path, command, PIPELINE_COMPARE_INTERVAL="soon", PIPELINE_COMPARE_MIN_SAMPLE="-1")
    assert outcome.exit_code == 65
    shown = outcome.stdout + outcome.stderr
    assert "PIPELINE_COMPARE_INTERVAL = 'soon'" in shown
    assert "PIPELINE_COMPARE_MIN_SAMPLE = '-1'" in shown


@pytest.mark.parametrize("options", [["--json"], ["--json", "--watch"]], ids=" ".join)
def test_status_as_json_has_a_verdict_also_if_a_setting_or_a_file_cannot_be_used(
    tmp_path: Path, options: list[str]
) -> None:
    settings = make_settings(tmp_path)
    settings.compare_diffs.mkdir(parents=True)
    fleet = {"PIPELINE_V6_FLEET": str(tmp_path / "missing.toml")}
    listed = {"PIPELINE_V6_FLEET": str(write_fleet(tmp_path / "fleet", {"alpha": []}))}
    cases = (({"PIPELINE_VERDICT_MIN_DAYS": "abc"}, 65), (fleet, 74), (listed, 64), ({}, 74))
    for environ, exit_code in cases:
        plain, outcome = (pipeline_v6(tmp_path, "status", *each, **environ) for each in ([], options))
        report = json.loads(outcome.stdout)
        assert (report["status"], report["verdict"], report["exit_code"]) == ("no_data", "NO_DATA", exit_code)
        assert (outcome.exit_code, outcome.stderr, outcome.stderr.count("\n")) == (exit_code, plain.stderr, 1)
        assert outcome.stderr == f"pipeline-v6: {report['reasons'][0]}\n"
        assert plain.stdout == ""


@pytest.mark.parametrize("arguments", [["nonsense"], ["shadow", "--nonsense"], ["compare", "extra"]])
def test_bad_usage_exits_with_64_and_one_line(tmp_path: Path, arguments: list[str]) -> None:
    outcome = pipeline_v6(tmp_path, *arguments)
    assert outcome.exit_code == 64
    assert outcome.stderr.count("\n") == 1


def test_a_home_that_cannot_be_written_exits_with_74(tmp_path: Path) -> None:
    simulated_home(tmp_path)
    (tmp_path / "logs" / "state").write_text("a file where the folder should be")
    assert pipeline_v6(tmp_path, "shadow").exit_code == 0
    outcome = pipeline_v6(tmp_path, "heartbeat")
    assert outcome.exit_code == 74
    assert outcome.stderr.count("\n") == 1
    assert str(tmp_path / "logs" / "state") in outcome.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_one_object(tmp_path: Path, command: str) -> None:
    simulated_home(tmp_path)
    all_stages(tmp_path)
    outcome = pipeline_v6(tmp_path, command, "--json")
    assert isinstance(json.loads(outcome.stdout), dict)


@pytest.mark.parametrize("command", [*COMMANDS, "simulate", "demo"])
def test_every_command_explains_itself(tmp_path: Path, command: str) -> None:
    outcome = pipeline_v6(tmp_path, command, "--help")
    assert outcome.exit_code == 0
    assert "Usage: pipeline-v6" in outcome.stdout


def test_doctor_shows_what_was_understood(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path)
    limits = json.loads(settings.risk_limits.read_text())
    limits["max_gross_expsure_pct"] = 150
    settings.risk_limits.write_text(json.dumps(limits))
    outcome = pipeline_v6(tmp_path, "doctor")
    assert outcome.exit_code == 0
    assert (
        "max_gross_expsure_pct: no rule reads this key; the nearest known key is max_gross_exposure_pct"
        in outcome.stdout
    )


def test_doctor_names_a_broken_rollout_plan_in_text_and_in_json(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path)
    settings.rollout_plan.write_text('{"approvals": 0}')
    problem = f"{settings.rollout_plan}: approvals = 0: must be greater than or equal to 1"
    text, report = (pipeline_v6(tmp_path, "doctor", *options) for options in ([], ["--json"]))
    assert (text.exit_code, report.exit_code) == (65, 65)
    assert f"PROBLEM: {problem}" in text.stdout.splitlines()
    assert problem in json.loads(report.stdout)["problems"]


def test_doctor_shows_many_unread_keys_in_one_line_and_each_only_when_asked(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    limits = json.loads(settings.risk_limits.read_text()) | {f"max_thing_{number}": 1 for number in range(27)}
    settings.risk_limits.write_text(json.dumps(limits))
    short, verbose = (pipeline_v6(tmp_path, "doctor", *options).stdout for options in ([], ["--verbose"]))
    assert "no rule reads 27 keys: max_thing_0, max_thing_1, max_thing_2 and 24 more; --verbose lists each" in short
    assert "no rule reads this key" not in short
    assert verbose.count(": no rule reads this key") == 27
    report = json.loads(pipeline_v6(tmp_path, "doctor", "--json").stdout)
    assert len(report["unknown_keys"]) == len(report["warning_groups"]["keys"]) == 27


def test_doctor_reads_as_columns_with_figures_for_people(tmp_path: Path) -> None:
    simulated_home(tmp_path)
    lines = pipeline_v6(tmp_path, "doctor", PIPELINE_V6_ALERT_REPEAT="100000").stdout.splitlines()
    settings = lines[lines.index("Settings") + 1 : lines.index("Files")]
    names = [line.split()[0] for line in settings]
    starts = {line.index(line.split()[1], len(name) + 2) for line, name in zip(settings, names, strict=True)}
    assert starts == {max(map(len, names)) + 4}
    text = "\n".join(lines)
    for shown in ("100,000", "max_order_notional_usd 75,000.00 USD", "max_symbol_nav_ratio 25.0 %", "2 min 30 s"):
        assert shown in text


def test_rebuild_writes_the_same_diffs(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, upsize_share=0.05)
    all_stages(tmp_path)
    diffs = settings.compare_diffs.read_text().splitlines()[:-1]
    assert pipeline_v6(tmp_path, "compare", "--rebuild").exit_code == 0
    assert settings.compare_diffs.read_text().splitlines()[:-1] == diffs


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_starts_without_dagster_and_pandas(tmp_path: Path, command: str) -> None:
    settings, _ = simulated_home(tmp_path, seconds=60)
    program = (
        "import sys\n"
        "from pipeline_v6_dagster.cli.main import run\n"
        f"run([{command!r}])\n"
        "print(sorted({'dagster', 'pandas', 'numpy'} & {name.split('.')[0] for name in sys.modules}))\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PIPELINE_V6_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.splitlines()[-1] == "[]"


def test_two_writers_of_one_log_do_not_mix(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=7200, attempts_per_s=0.5)
    program = "from pipeline_v6_dagster.cli.main import run; raise SystemExit(run(['shadow']))"
    environ = {**os.environ, "PIPELINE_V6_HOME": str(settings.home)}
    writers = [subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE) for _ in range(3)]
    assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0, 0]
    decided = [json.loads(line)["decision_id"] for line in settings.shadow_log.read_text().splitlines()]
    assert len(decided) == len(set(decided)) == len(settings.order_attempts.read_text().splitlines())


def test_a_writer_that_waits_too_long_leaves_with_75(tmp_path: Path) -> None:
    from pipeline_v6_dagster.storage.lock import locked

    settings, _ = simulated_home(tmp_path, seconds=60)
    with locked(settings.shadow_log, 1.0):
        program = (
            "from pipeline_v6_dagster.storage import lock; lock.LOCK_TIMEOUT_S = 0.2;"
            " from pipeline_v6_dagster.cli.main import run; raise SystemExit(run(['shadow']))"
        )
        environ = {**os.environ, "PIPELINE_V6_HOME": str(settings.home)}
        outcome = subprocess.run(
            [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False
        )
    assert outcome.returncode == 75
    assert outcome.stderr.count("\n") == 1


def test_settings_reach_the_summary(tmp_path: Path) -> None:
    simulated_home(tmp_path)
    all_stages(tmp_path, PIPELINE_COMPARE_SHADOW_LIMIT="50", PIPELINE_COMPARE_MIN_SAMPLE="10")
    summary = json.loads(make_settings(tmp_path).compare_summary.read_text())
    assert (summary["sample_size"], summary["min_sample_size"], summary["is_warmup"]) == (50, 10, False)


def test_a_shadow_log_that_was_written_again_is_not_compared_a_second_time(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, start_ts=time.time() - 3700)
    all_stages(tmp_path)
    before = settings.compare_diffs.read_bytes()
    settings.shadow_log.unlink()
    assert pipeline_v6(tmp_path, "shadow").exit_code == 0
    refused = pipeline_v6(tmp_path, "compare")
    assert refused.exit_code == 65
    assert "compare --rebuild" in refused.stderr
    assert settings.compare_diffs.read_bytes() == before
    assert pipeline_v6(tmp_path, "compare", "--rebuild").exit_code == 0
    shown = json.loads(pipeline_v6(tmp_path, "status", "--json").stdout)
    assert (shown["status"], shown["stale"]) == ("green", [])


def test_rebuild_does_not_replace_a_file_of_another_program(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path)
    assert pipeline_v6(tmp_path, "shadow").exit_code == 0
    settings.compare_diffs.write_text('{"somebody": "else"}\n')
    assert pipeline_v6(tmp_path, "compare", "--rebuild").exit_code == 65
    assert settings.compare_diffs.read_text() == '{"somebody": "else"}\n'


def test_the_exit_code_holds_when_nobody_reads_the_answer(tmp_path: Path) -> None:
    simulated_home(tmp_path, upsize_share=0.05)
    all_stages(tmp_path)
    program = "from pipeline_v6_dagster.cli.main import main; import sys; sys.argv = ['pipeline-v6', 'status']; main()"
    reading, writing = os.pipe()
    os.close(reading)
    environ = {**os.environ, "PIPELINE_V6_HOME": str(tmp_path)}
    status = subprocess.run(
        [sys.executable, "-c", program], env=environ, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (status.returncode, status.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_command_without_standard_streams_does_its_work(tmp_path: Path, closed: str) -> None:
    simulated_home(tmp_path, upsize_share=0.05)
    program = "from pipeline_v6_dagster.cli.main import main; import sys; sys.argv[0] = 'pipeline-v6'; main()"
    environ = {**os.environ, "PIPELINE_V6_HOME": str(tmp_path)}
    codes = []
    for command in ("shadow", "heartbeat", "compare", "status"):
        line = f'exec "$0" -c "$1" {command} {closed}'
        done = subprocess.run(
            ["sh", "-c", line, sys.executable, program], env=environ, capture_output=True, check=False
        )
        codes.append(done.returncode)
    assert codes == [0, 0, 0, 1]
    assert pipeline_v6(tmp_path, "verify").exit_code == 0


def test_a_fault_of_the_program_is_not_taken_for_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline_v6_dagster.cli import surroundings

    monkeypatch.setattr(surroundings, "load_settings", lambda environ, cwd: 1 / 0)
    outcome = pipeline_v6(tmp_path, "status")
    assert outcome.exit_code == 70
    assert "ZeroDivisionError" in outcome.stderr


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_doctor_shows_no_secret_of_an_alert_url(tmp_path: Path, form: list[str]) -> None:
    simulated_home(tmp_path, seconds=0)
    outcome = pipeline_v6(tmp_path, "doctor", *form, PIPELINE_V6_ALERT_URLS="slack://tokenA/tokenB, json://me:pw@host")
    assert "slack://..." in outcome.stdout
    assert not {"tokenA", "tokenB", "pw", "me:"} & set(outcome.stdout.replace("/", " ").replace("@", " ").split())


def test_verify_passes_what_the_stages_wrote_and_names_what_was_touched(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path)
    all_stages(tmp_path)
    whole = pipeline_v6(tmp_path, "verify")
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert whole.stdout.count(": whole, ") == 3
    lines = settings.shadow_log.read_bytes().splitlines(keepends=True)
    settings.shadow_log.write_bytes(b"".join([*lines[:10], lines[10].replace(b"BUY", b"SEL"), *lines[12:]]))
    touched = pipeline_v6(tmp_path, "verify")
    assert (touched.exit_code, touched.stderr) == (65, "")
    assert "NOT whole, " in touched.stdout
    assert f"{settings.shadow_log}: line 12: removed: before it line 12 of the log is missing" in touched.stdout
    report = json.loads(pipeline_v6(tmp_path, "verify", "--json").stdout)
    assert report["is_whole"] is False
    assert [(log["name"], log["finding_count"] > 0) for log in report["logs"]] == [
        ("shadow_log", True),
        ("compare_diffs", False),
        ("alerts", False),
    ]


def test_compare_follows_the_chains_from_the_last_command_and_a_rebuild_is_no_damage(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    all_stages(tmp_path)
    first = json.loads(settings.verified_links.read_bytes())
    assert set(first["newest"]) == {"shadow_log", "compare_diffs", "alerts"}
    assert pipeline_v6(tmp_path, "compare").exit_code == 0
    then = json.loads(settings.verified_links.read_bytes())
    assert then["all_ts"] == first["all_ts"]
    assert then["newest"]["compare_diffs"] != first["newest"]["compare_diffs"]
    assert pipeline_v6(tmp_path, "compare", "--rebuild").exit_code == 0
    assert settings.verified_links.exists()
    # What was verified is gone: the file that says so goes, and the alert says why.
    settings.compare_diffs.write_bytes(b"")
    assert pipeline_v6(tmp_path, "compare").exit_code == 0
    assert not settings.verified_links.exists()
    assert "which an earlier run verified, is not there any more" in pipeline_v6(tmp_path, "alerts").stdout


def test_verify_of_a_log_that_cannot_be_read_exits_with_74(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=0)
    settings.shadow_log.mkdir(parents=True)
    outcome = pipeline_v6(tmp_path, "verify")
    assert outcome.exit_code == 74
    assert outcome.stderr.count("\n") == 1


def test_metrics_are_written_into_a_folder_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "collector"
    path = folder / "pipeline_v6.prom"
    outcome = pipeline_v6(tmp_path, "metrics", "--output", str(path))
    assert (outcome.exit_code, outcome.stdout) == (74, "")
    assert outcome.stderr == f"pipeline-v6: {path}: cannot be written: {folder} is no folder\n"
    assert not folder.exists()
    folder.mkdir()
    assert pipeline_v6(tmp_path, "metrics", "--output", str(path)).exit_code == 0
    assert path.is_file()
