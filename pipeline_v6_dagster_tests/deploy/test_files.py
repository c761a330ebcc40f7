"""The files of deploy/: accepted by what reads them, true to each other and to the documents."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy
import yaml
from dagster._core.storage.event_log import ConsolidatedSqliteEventLogStorage

from pipeline_v6_dagster.config.settings import load_settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster_tests.deployment import DEPLOY, Deployment, postgres_database, postgres_missing
from pipeline_v6_dagster_tests.homes import simulated_home

UNITS = sorted((DEPLOY / "systemd").iterdir())


def environment() -> dict[str, str]:
    """The variables of the environment file."""
    lines = (DEPLOY / "pipeline_v6.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_environment_file_holds_settings_that_are_accepted() -> None:
    settings = load_settings(environment(), Path("/"))
    assert settings.home == Path("/srv/executor")
    assert (settings.heartbeat_interval_s, settings.compare_interval_s) == (600, 900)
    assert settings.alert_urls == ()


@pytest.mark.parametrize("name", ["dagster.yaml", "dagster-sqlite.yaml", "workspace.yaml", "supervisord.conf"])
def test_every_variable_that_a_file_names_is_in_the_environment_file(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    named = set(re.findall(r"env: (\w+)", text)) | set(re.findall(r"ENV_(\w+)", text))
    assert named
    # Where the checkout stands is the one thing that Supervisor is told beside it.
    assert named <= set(environment()) | {"PIPELINE_V6_ROOT"}


def test_both_instances_keep_to_themselves_and_differ_in_their_storage_alone() -> None:
    postgres, sqlite = (
        yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8")) for name in ("dagster.yaml", "dagster-sqlite.yaml")
    )
    postgres.pop("storage")
    for name in ("run_storage", "event_log_storage", "schedule_storage"):
        sqlite.pop(name)
    assert postgres == sqlite
    assert postgres["telemetry"] == {"enabled": False}
    assert postgres["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert postgres["run_monitoring"]["max_runtime_seconds"] == load_settings({}, Path("/")).run_timeout_s


def test_the_instance_on_sqlite_keeps_all_events_in_one_file(tmp_path: Path) -> None:
    with Deployment(tmp_path, tmp_path / "dagster", "sqlite", {}).instance() as instance:
        assert isinstance(instance.event_log_storage, ConsolidatedSqliteEventLogStorage)
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert not instance.telemetry_enabled


def test_the_instance_on_postgresql_is_made_and_used(tmp_path: Path) -> None:
    missing = postgres_missing()
    if missing is not None:
        pytest.skip(missing)
    with (
        postgres_database() as name,
        Deployment(tmp_path, tmp_path / "dagster", "postgres", {"DAGSTER_PG_DB": name}).instance() as instance,
    ):
        instance.report_runless_asset_event(dg.AssetObservation("order_attempts"))
        assert len(instance.fetch_observations(dg.AssetKey("order_attempts"), limit=5).records) == 1
        assert "Postgres" in type(instance.event_log_storage).__name__


def test_a_step_speaks_to_postgresql_over_one_connection(tmp_path: Path) -> None:
    missing = postgres_missing()
    if missing is not None:
        pytest.skip(missing)
    with postgres_database() as name:
        deployment = Deployment(tmp_path, tmp_path / "dagster", "postgres", {"DAGSTER_PG_DB": name})
        within = connections_of_a_step(tmp_path, deployment)
    assert len(within) <= 5, "each event and look-up opens one or more of its own where none is kept"


def test_sqlite_keeps_its_log_of_changes_while_a_step_lasts(tmp_path: Path) -> None:
    within = connections_of_a_step(tmp_path, Deployment(tmp_path, tmp_path / "dagster", "sqlite", {}))
    assert len(within) > 20
    assert all(had_log for had_log in within), "whoever is the last to close moves it into the database"


def connections_of_a_step(tmp_path: Path, deployment: Deployment) -> list[bool]:
    """Of each connection to storage that a step opens: whether SQLite's write-ahead log was there already."""
    settings, _ = simulated_home(tmp_path / "home", seconds=600)
    job = build_defs(settings).resolve_job_def("shadow_job")
    opened: list[tuple[float, bool]] = []

    def note_connection(*_: object) -> None:
        opened.append((time.time(), any(deployment.folder.rglob("*.db-wal"))))

    with deployment.instance() as instance:
        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", note_connection)
        try:
            result = job.execute_in_process(instance=instance)
        finally:
            sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", note_connection)
        told_ts = {
            entry.dagster_event.event_type_value: entry.timestamp
            for entry in reversed(instance.all_logs(result.run_id))
            if entry.dagster_event is not None
        }
    assert result.success
    assert opened
    return [had_log for ts, had_log in opened if told_ts["STEP_START"] < ts < told_ts["STEP_SUCCESS"]]


def test_supervisor_and_systemd_start_the_same_commands() -> None:
    conf = (DEPLOY / "supervisord.conf").read_text(encoding="utf-8")
    by_supervisor = {
        re.sub(r"%\(ENV_(\w+)\)s", r"${\1}", command).replace("${PIPELINE_V6_ROOT}", "/opt/pipeline_v6")
        for command in re.findall(r"^command = (.+)$", conf, re.MULTILINE)
    }
    by_systemd = {
        command
        for unit in UNITS
        for command in re.findall(r"^ExecStart=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        if "/bin/dagster" in command
    }
    assert by_supervisor == by_systemd
    assert len(by_supervisor) == 4


@pytest.mark.parametrize("start", ["\nsystemctl enable --now pipeline-v6-code", "\nsupervisord -c"])
def test_the_page_lays_the_storage_down_before_four_processes_do(start: str) -> None:
    page = (DEPLOY.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    (block,) = (block for block in re.findall(r"```shell(\n.*?)```", page, re.DOTALL) if start in block)
    assert "/.venv/bin/dagster instance migrate" in block.split(start)[0]


def test_only_the_webserver_behind_nginx_is_read_only_and_it_is_the_one_that_nginx_serves() -> None:
    conf = (DEPLOY / "supervisord.conf").read_text(encoding="utf-8")
    webservers = re.findall(r"dagster-webserver .*", conf)
    assert [("--read-only" in command, "WEB_PORT" in command) for command in webservers] == [
        (True, True),
        (False, False),
    ]
    assert all("-h 127.0.0.1" in command for command in webservers)
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert f"proxy_pass http://127.0.0.1:{environment()['PIPELINE_V6_WEB_PORT']};" in nginx
    assert f"proxy_pass http://127.0.0.1:{environment()['PIPELINE_V6_ADMIN_PORT']};" in nginx
    listens = re.findall(r"^ +listen (.+?);", nginx, re.MULTILINE)
    assert listens == ["443 ssl", "127.0.0.1:3002 default_server", "127.0.0.1:3002"], "what reaches admins is local"


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=lambda unit: unit.name)
def test_a_unit_is_exposed_to_at_most_four_of_ten(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    command = [analyze, "security", "--offline=yes", "--threshold=40", "--no-pager", str(unit)]
    rated = subprocess.run(command, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout.splitlines()[-1:]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    for unit in UNITS:
        # The program is looked for, and /opt/pipeline_v6 is not on this machine.
        text = unit.read_text(encoding="utf-8").replace("/opt/pipeline_v6/.venv/bin/", f"{tmp_path}/bin/")
        (tmp_path / unit.name).write_text(text)
    (tmp_path / "bin").mkdir()
    for name in ("dagster", "dagster-daemon", "dagster-webserver", "pipeline-v6", "apprise"):
        (tmp_path / "bin" / name).symlink_to("/bin/true")
    units = [str(tmp_path / unit.name) for unit in UNITS]
    verified = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "pipeline-v6" in line]
    assert complaints == []
