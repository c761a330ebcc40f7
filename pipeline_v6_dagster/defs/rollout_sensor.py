"""The second line of the rollout: takes away what the evidence no longer supports, also where no compare comes."""

import socket
from collections.abc import Callable

import dagster as dg

from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.logs import verified_by_last_run
from pipeline_v6_dagster.domain.errors import BusyError, PipelineError
from pipeline_v6_dagster.logs.chain_follower import ChainFollower
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.stages.outputs.status import STALE_AFTER_INTERVALS
from pipeline_v6_dagster.stages.rollout.act import ROLLOUT_SENSOR
from pipeline_v6_dagster.stages.rollout.announce import describe_record
from pipeline_v6_dagster.stages.rollout.downward import follow_evidence, has_stage
from pipeline_v6_dagster.stages.rollout.evidence import read_evidence, read_stored_evidence
from pipeline_v6_dagster.stages.rollout.state import is_known

_LONGEST_POLL_S = 15
_POLLS_PER_INTERVAL = 4


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The sensor of this module."""
    return dg.Definitions(sensors=[_rollout_sensor(settings, clock)])


def _rollout_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    """`rollout_sensor`."""

    @dg.sensor(
        name=ROLLOUT_SENSOR,
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(1, min(_LONGEST_POLL_S, int(settings.compare_interval_s / _POLLS_PER_INTERVAL))),
        description=(
            "Rolls back or pauses the rollout when the evidence demands it and compare has not done so, and pauses it"
            f" when no compare has come for {STALE_AFTER_INTERVALS} intervals. Starts no run."
        ),
    )
    def rollout_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if settings.fleet_file is None:
            return dg.SkipReason(_follow(settings, clock, context.instance))
        executors = load_fleet(settings).executors.values()
        texts = [
            f"{each.name}: {_try_to_follow(each.settings, clock, context.instance)}"
            for each in executors
            if is_known(each.settings)
        ]
        return dg.SkipReason("; ".join(texts) or "no rollout was begun on this host")

    return rollout_sensor


def _try_to_follow(settings: Settings, clock: Callable[[], float], instance: dg.DagsterInstance) -> str:
    """The same, whatever is wrong with the files of one executor: the others do not wait for it."""
    try:
        return _follow(settings, clock, instance)
    except PipelineError as error:
        return str(error)


def _follow(settings: Settings, clock: Callable[[], float], instance: dg.DagsterInstance) -> str:
    """What was taken away, or why nothing was."""
    if not is_known(settings):
        return "no rollout was begun"
    rollout, now = read_rollout_now(settings), clock()
    if has_stage(rollout):
        chains = ChainFollower(clock, verified_by_last_run(instance, settings.executor))
        evidence = read_evidence(settings, now, chains)
    else:
        evidence = read_stored_evidence(settings)
    try:
        record = follow_evidence(settings, evidence, now, ROLLOUT_SENSOR, refreshes=False, host=socket.gethostname())
    except BusyError as error:
        return f"{error}; the next tick tries again"
    return f"v6 is {rollout.state}; nothing to take away" if record is None else describe_record(record)
