"""What a fleet costs: two workers beside one, a sensor tick over 200 executors, an executor's tick. `make bench`.

The first is a ratio of wall times on the real RabbitMQ and PostgreSQL: the shadow runs of 20 executors with 100 new
attempts each, on two workers and on one, in turn. The second is CPU time of one evaluation of `compare_sensor` with all
executors due. The third is a ratio of CPU times in one process: both jobs of an executor of a fleet of 20 beside both
jobs of the same executor alone.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from celery import Celery
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import pack_value
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster_tests.defs.ticking import quiet_instance
from pipeline_v6_dagster_tests.deployment import wait_for
from pipeline_v6_dagster_tests.fleet_deployment import FleetDeployment, fleet_services_missing, fleet_set_up
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.homes import START_TS, fixed

PARTITIONS = "pipeline_v6_executor"
EXECUTORS = 20
TICKED = 200
ATTEMPTS = 100
ATTEMPTS_PER_S = 0.1
PATIENCE_S = 900.0


def main() -> None:
    """Measure all three and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory(prefix="pipeline-v6-bench-") as folder:
        result: dict[str, Any] = {"benchmark": "fleet"}
        result |= sensor_tick(Path(folder) / "tick")
        result |= executor_tick(Path(folder) / "executor", rounds)
        missing = fleet_services_missing()
        result |= {"workers": missing} if missing is not None else workers(Path(folder) / "workers", rounds)
        print(json.dumps(result))


def sensor_tick(folder: Path) -> dict[str, float]:
    """CPU seconds of a tick with all executors due."""
    names = [f"e{number:03}" for number in range(TICKED)]
    base = fleet_settings(folder, {name: [] for name in names})
    repository = build_defs(base).get_repository_def()
    with quiet_instance(folder / "dagster") as instance:
        instance.add_dynamic_partitions(PARTITIONS, names)
        context = dg.build_sensor_context(instance=instance, repository_def=repository)
        start = time.process_time()
        result = repository.get_sensor_def("compare_sensor")(context)
        used_s = time.process_time() - start
    if not isinstance(result, dg.SensorResult) or len(result.run_requests or ()) != TICKED:
        raise SystemExit(f"the tick did not ask for {TICKED} runs: {result}")
    print(f"a tick over {TICKED} executors: {used_s:.3f} s CPU")
    return {"sensor_tick_cpu_s": round(used_s, 3)}


class Homes:
    """Executors that trade on demand: each round another 100 attempts."""

    def __init__(self, settings: list[Settings]) -> None:
        self._settings = settings
        self._executors = [SimulatedExecutor(number, START_TS, ATTEMPTS_PER_S) for number in range(len(settings))]
        self.now = START_TS
        for each in settings:
            write_configuration(each)

    def trade(self) -> None:
        """Log as many attempts as a round takes."""
        self.now += ATTEMPTS / ATTEMPTS_PER_S
        for each, executor in zip(self._settings, self._executors, strict=True):
            write_feed(each, executor.run(self.now))


def executor_tick(folder: Path, rounds: int) -> dict[str, float]:
    """CPU of both jobs of an executor in a fleet, over those of the same executor alone."""
    base = fleet_settings(folder, {f"e{number:02}": [] for number in range(EXECUTORS)})
    in_fleet = load_fleet(base).executor("e00").settings
    alone = fleet_settings(folder / "alone", {"e00": []}).model_copy(update={"fleet_file": None})
    homes = Homes([in_fleet, alone])
    ratios = []
    with quiet_instance(folder / "dagster") as instance:
        instance.add_dynamic_partitions(PARTITIONS, list(load_fleet(base).executors))
        for number in range(rounds + 1):
            homes.trade()
            fleet_s = jobs_cpu_s(base, instance, "e00", homes.now)
            alone_s = jobs_cpu_s(alone, instance, None, homes.now)
            if number:  # The first round imports what a run needs.
                ratios.append(fleet_s / alone_s)
                print(f"both jobs: {fleet_s:.2f} s CPU in a fleet, {alone_s:.2f} s alone, ratio {ratios[-1]:.2f}")
    return {"executor_tick_ratio": round(statistics.median(ratios), 3)}


def jobs_cpu_s(settings: Settings, instance: dg.DagsterInstance, partition: str | None, now: float) -> float:
    """CPU seconds of `shadow_job` and `compare_job`; the definitions are loaded before."""
    defs = build_defs(settings, fixed(now))
    jobs = [defs.resolve_job_def(name) for name in ("shadow_job", "compare_job")]
    start = time.process_time()
    for job in jobs:
        job.execute_in_process(instance=instance, partition_key=partition)  # Raises where it fails.
    return time.process_time() - start


def workers(folder: Path, rounds: int) -> dict[str, float]:
    """Wall time of the runs of all executors on two workers, over that on one."""
    base = fleet_settings(folder / "home", {f"e{number:02}": ['host = "bench"'] for number in range(EXECUTORS)})
    homes = Homes([executor.settings for executor in load_fleet(base).executors.values()])
    with fleet_set_up(base, folder / "dagster") as deployment, deployment.instance() as instance:
        instance.add_dynamic_partitions(PARTITIONS, list(load_fleet(base).executors))
        # Those of the test stay away from the queues of others: so do these.
        queue = deployment.queue(None)
        ratios = []
        for number in range(rounds):
            took_s = []
            for count in (1, 2):
                for worker in range(count):
                    deployment.start_worker(f"worker{worker}", [None])
                run_all(deployment, instance, queue, warm_up=True)
                homes.trade()
                took_s.append(run_all(deployment, instance, queue))
                for worker in range(count):
                    deployment.kill(f"worker{worker}")
            ratios.append(took_s[1] / took_s[0])
            print(f"round {number + 1}: {took_s[1]:.1f} s on two workers, {took_s[0]:.1f} s on one: {ratios[-1]:.2f}")
    return {"two_workers_ratio": round(statistics.median(ratios), 3)}


def run_all(deployment: FleetDeployment, instance: dg.DagsterInstance, queue: str, *, warm_up: bool = False) -> float:
    """Send a shadow run of each executor to the queue at once; the seconds until the last has ended."""
    names = list(load_fleet(deployment.settings).executors)
    app: Celery = make_app({"broker": deployment.environ["PIPELINE_V6_BROKER_URL"], "backend": "disabled://"})
    task = create_execute_job_task(app)
    job = shadow_job(deployment)
    runs = [
        instance.create_run_for_job(
            job.get_definition(),
            tags={"dagster/partition": name},
            job_code_origin=job.get_python_origin(),
            status=dg.DagsterRunStatus.STARTING,
        ).run_id
        for name in (names[:2] if warm_up else names)
    ]
    start = time.monotonic()
    for run_id in runs:
        args = ExecuteRunArgs(job.get_python_origin(), run_id, instance.get_ref(), set_exit_code_on_failure=True)
        task.si(execute_job_args_packed=pack_value(args)).apply_async(queue=queue, routing_key=queue)
    wait_for("all runs have ended", lambda: ended(instance, runs), PATIENCE_S, every_s=0.05)
    took_s = time.monotonic() - start
    if instance.get_runs_count(dg.RunsFilter(run_ids=runs, statuses=[dg.DagsterRunStatus.FAILURE])):
        raise SystemExit(f"a run has failed: {deployment.logs()}")
    return took_s


def ended(instance: dg.DagsterInstance, runs: list[str]) -> bool:
    """Whether each of the runs has succeeded or failed."""
    statuses = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    return instance.get_runs_count(dg.RunsFilter(run_ids=runs, statuses=statuses)) == len(runs)


def shadow_job(deployment: FleetDeployment) -> ReconstructableJob:
    """The job as a worker loads it: from the module, with the environment of the set-up."""
    before = dict(os.environ)
    os.environ.update(deployment.environ)
    try:
        repository = ReconstructableRepository(ModuleCodePointer("pipeline_v6_dagster.definitions", "defs"))
        job = repository.get_reconstructable_job("shadow_job")
        job.get_definition()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return job


if __name__ == "__main__":
    main()
