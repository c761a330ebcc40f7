"""Whether a job may be started now: one run per interval, never two in flight, whoever asks.

Time is cut into slots of one interval, counted from the epoch. A run carries its slot as a tag, so sensor and
schedule see each other's runs, and a daemon that was down makes up for one slot, not for all it missed.
"""

import dagster as dg

from pipeline_v6_dagster.defs.keys import SLOT_TAG

IN_FLIGHT = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def slot_of(ts: float, interval_s: float) -> int:
    """The number of the slot that `ts` (epoch s) lies in."""
    return int(ts // interval_s)


def request_or_skip(
    instance: dg.DagsterInstance, job_name: str, ts: float, interval_s: float
) -> dg.RunRequest | dg.SkipReason:
    """A run for the slot of `ts`, or why there is none and when the next one is due."""
    slot = slot_of(ts, interval_s)
    due = f"next due in {(slot + 1) * interval_s - ts:.0f} s"
    in_flight = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=IN_FLIGHT), limit=1)
    if in_flight:
        return dg.SkipReason(f"run {in_flight[0].dagster_run.run_id} of {job_name} is still in flight; {due}")
    tags = {SLOT_TAG: f"{interval_s:g}s/{slot}"}
    done = instance.get_run_records(dg.RunsFilter(job_name=job_name, tags=tags), limit=1)
    if done:
        return dg.SkipReason(f"{job_name} ran in this interval; {due}")
    return dg.RunRequest(run_key=f"{job_name}/{interval_s:g}s/{slot}", tags=tags)
