"""What Dagster's daemon makes of a run whose process was killed: the run again, however far it had come."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster_tests.deployment import LOCATION, free_ports, wait_for
from pipeline_v6_dagster_tests.homes import make_settings, simulated_home

_INSTANCE = """
run_retries: { enabled: true, max_retries: 1, retry_on_asset_or_op_failure: false }
run_coordinator: { module: dagster._core.run_coordinator, class: DefaultRunCoordinator }
telemetry: { enabled: false }
"""
# Executes a run as a run worker does, until an event is stored.
_WORKER = """
import os, signal, sys
import dagster as dg
from dagster._core.execution.api import execute_run_iterator
from dagster._utils.hosted_user_process import recon_job_from_origin

run_id, last = sys.argv[1:]
with dg.DagsterInstance.get() as instance:
    run = instance.get_run_by_id(run_id)
    for event in execute_run_iterator(recon_job_from_origin(run.job_code_origin), run, instance):
        if event.event_type_value == last:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(_INSTANCE)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def workspace(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkspaceProcessContext]:
    settings, _ = simulated_home(tmp_path / "home", seconds=60)
    monkeypatch.setenv("PIPELINE_V6_HOME", str(settings.home))
    (port,) = free_ports(1)
    command = ["api", "grpc", "-m", "pipeline_v6_dagster.definitions", "-h", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen([sys.executable, "-m", "dagster", *command, "--location-name", LOCATION])
    try:
        wait_for("the code server", lambda: is_listening(port), 60)
        target = GrpcServerTarget(host="127.0.0.1", port=port, socket=None, location_name=LOCATION)
        with WorkspaceProcessContext(instance, target) as context:
            yield context
    finally:
        server.kill()
        server.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow  # A code server is started, and two runs are executed.
@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")
@pytest.mark.parametrize("last", [dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS])
def test_a_killed_run_is_tried_again_however_far_it_had_come(
    tmp_path: Path, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext, last: dg.DagsterEventType
) -> None:
    settings = make_settings(tmp_path / "home")
    location = workspace.create_request_context().get_code_location(LOCATION)
    (repository,) = location.get_repositories().values()
    remote, job = repository.get_full_job("shadow_job"), build_defs(settings).resolve_job_def("shadow_job")
    run = instance.create_run_for_job(
        job,
        remote_job_origin=remote.get_remote_origin(),
        job_code_origin=remote.get_python_origin(),
        tags=job.run_tags,
    )
    daemon = EventLogConsumerDaemon()
    list(daemon.run_iteration(workspace))

    worker = subprocess.run([sys.executable, "-c", _WORKER, run.run_id, last.value], check=False, capture_output=True)
    assert worker.returncode == -signal.SIGKILL, worker.stderr.decode()
    failure = JobFailureData(error=None, failure_reason=RunFailureReason.RUN_WORKER_RESTART)
    instance.report_run_failed(run, job_failure_data=failure)
    list(daemon.run_iteration(workspace))

    (again,) = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run.run_id}))
    wait_for("the second run", lambda: instance.get_run_by_id(again.run_id).is_finished, 60)
    assert instance.get_run_by_id(again.run_id).is_success
    assert verify_logs(settings).is_whole


def test_every_job_is_tried_again_as_a_whole(tmp_path: Path) -> None:
    """Dagster tries only the steps again that had not succeeded, and so nothing where all had."""
    jobs = build_defs(make_settings(tmp_path)).resolve_all_job_defs()
    own = [job for job in jobs if not job.name.startswith("__")]
    assert len(own) >= 8
    assert {job.name for job in own if job.run_tags.get("dagster/retry_strategy") != "ALL_STEPS"} == set()
