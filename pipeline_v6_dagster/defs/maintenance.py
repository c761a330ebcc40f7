"""Maintenance: what Dagster keeps of runs, observations and ticks does not grow for ever, and the history stays fast.

Our logs are not touched. Dagster's own retention covers ticks alone.

A clock that is years ahead for one night would make everything old. So what lies before a jump in the times of the runs
counts as old only once the time after the jump has lasted as long.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from pipeline_v6_dagster.defs.dagster_internals import delete_observations, delete_run, purge_ticks
from pipeline_v6_dagster.defs.keys import MAINTENANCE_JOB, TRIED_AGAIN_WHOLE
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.run_slots import IN_FLIGHT
from pipeline_v6_dagster.stages.history.maintain import maintain_history

_DAY_S = 86_400.0
_BATCH_RUNS = 200


def prune(instance: dg.DagsterInstance, before_ts: float) -> dict[str, int]:
    """Delete what is older than `before_ts` (epoch s); returns how many of each were deleted.

    The newest run of each job stays, and what is in flight.
    """
    runs = 0
    for run_id in list(_old_runs(instance, before_ts)):
        delete_run(instance, run_id)
        runs += 1
    return {
        "runs": runs,
        "observations": delete_observations(instance, before_ts),
        "instigators": purge_ticks(instance, before_ts),
    }


def prune_by_age(instance: dg.DagsterInstance, now: float, retention_s: float) -> dict[str, int] | None:
    """Delete what is older than `retention_s` at `now` (epoch s); None if the clock may have jumped since.

    Returns how many of each were deleted.
    """
    before_ts = now - retention_s
    before = datetime.fromtimestamp(before_ts, UTC)
    newest_old = instance.get_run_records(dg.RunsFilter(created_before=before), limit=1)
    oldest_kept = instance.get_run_records(dg.RunsFilter(created_after=before), limit=1, ascending=True)
    if newest_old and oldest_kept:
        jump_ts = oldest_kept[0].create_timestamp.timestamp()
        is_jump = jump_ts - newest_old[0].create_timestamp.timestamp() > retention_s
        if is_jump and now - jump_ts < retention_s:
            return None
    return prune(instance, before_ts)


def _old_runs(instance: dg.DagsterInstance, before_ts: float) -> Iterator[str]:
    before = datetime.fromtimestamp(before_ts, UTC)
    cursor: str | None = None
    seen: set[str] = set()
    newest = {
        record.dagster_run.run_id
        for name in {run.job_name for run in instance.get_runs(dg.RunsFilter(created_before=before))}
        for record in instance.get_run_records(dg.RunsFilter(job_name=name), limit=1)
    }
    while True:
        records = instance.get_run_records(dg.RunsFilter(created_before=before), limit=_BATCH_RUNS, cursor=cursor)
        for record in records:
            run = record.dagster_run
            if run.run_id not in newest and run.run_id not in seen and run.status not in IN_FLIGHT:
                seen.add(run.run_id)
                yield run.run_id
        if len(records) < _BATCH_RUNS:
            return
        cursor = records[-1].dagster_run.run_id


@dg.op(name="prune", description="Delete runs, their events and logs, observations and ticks that are too old.")
def _prune(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    days = pipeline.settings.retention_days
    deleted = prune_by_age(context.instance, pipeline.clock(), days * _DAY_S)
    if deleted is None:
        context.log.warning(
            f"nothing is pruned: there were no runs for more than {days:g} days, so the clock may have jumped; if it is"
            f" right, what is older is pruned in {days:g} days"
        )
        context.add_output_metadata({"retention_days": days})
        return
    context.log.info(f"older than {days:g} days: {deleted['runs']} runs, {deleted['observations']} observations")
    context.add_output_metadata({**deleted, "retention_days": days})


@dg.op(name="compact_history", description="Join the small files of the history, delete those that nobody reads.")
def _compact_history(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    done = maintain_history(pipeline.settings)
    if done is None:
        context.log.info("there is no history")
        return
    context.add_output_metadata(asdict(done))


@dg.job(
    name=MAINTENANCE_JOB,
    tags=TRIED_AGAIN_WHOLE,
    description=(
        "Prune runs, events, observations and ticks older than the retention from Dagster's storage; join the small"
        " files of the history."
    ),
)
def maintenance_job() -> None:
    """Two steps; neither waits for the other."""
    _prune()
    _compact_history()
