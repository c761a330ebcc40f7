"""Whether a job may be started now: one run per interval, never two in flight, whoever asks.

Time is cut into slots of one interval, counted from the epoch. A run carries its slot as a tag, so sensor and
schedule see each other's runs, and a daemon that was down makes up for one slot, not for all it missed. A run that
died without a word is found by its age, so that it does not hold up its job for ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg

from pipeline_v6_dagster.defs.keys import MAX_RUNTIME_TAG, SLOT_TAG

# Seconds between runs of a job that starts early because rows arrived: a run takes a few seconds of processor time, so
# that a busy executor costs a few percent of one core.
MIN_RUN_SPACING_S = 60.0
IN_FLIGHT = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# A queued run has no process that could have died; the daemon takes it up again by itself.
_MAY_BE_DEAD = [status for status in IN_FLIGHT if status is not dg.DagsterRunStatus.QUEUED]


@dataclass(frozen=True)
class RunInterval:
    """How often a job runs: once per `interval_s`. After `timeout_s` in flight a run counts as dead."""

    job_name: str
    interval_s: float
    timeout_s: float

    def slot(self, ts: float) -> int:
        """The number of the slot that `ts` (epoch s) lies in."""
        return int(ts // self.interval_s)

    def next_due_ts(self, ts: float) -> float:
        """When the next slot begins."""
        return (self.slot(ts) + 1) * self.interval_s

    def due_in(self, ts: float) -> str:
        """When the next slot begins, in words."""
        return f"next due in {self.next_due_ts(ts) - ts:.0f} s"

    def slot_tags(self, ts: float) -> dict[str, str]:
        """What a run of the slot of `ts` carries."""
        return {SLOT_TAG: f"{self.interval_s:g}s/{self.slot(ts)}"}


def request_or_skip(instance: dg.DagsterInstance, pace: RunInterval, ts: float) -> dg.RunRequest | dg.SkipReason:
    """A run for the slot of `ts`, or why there is none and when the next one is due."""
    in_flight = run_in_flight(instance, pace, ts)
    if in_flight is not None:
        return dg.SkipReason(f"run {in_flight} of {pace.job_name} is still in flight; {pace.due_in(ts)}")
    tags = pace.slot_tags(ts)
    if instance.get_run_records(dg.RunsFilter(job_name=pace.job_name, tags=tags), limit=1):
        return dg.SkipReason(f"{pace.job_name} ran in this interval; {pace.due_in(ts)}")
    return dg.RunRequest(run_key=f"{pace.job_name}/{tags[SLOT_TAG]}", tags=tags)


def run_in_flight(instance: dg.DagsterInstance, pace: RunInterval, ts: float) -> str | None:
    """The id of a run of the job in flight. Those that are dead are reported as failed and do not count."""
    run = next(runs_in_flight(instance, pace.job_name, lambda _: pace.timeout_s, ts), None)
    return None if run is None else run.run_id


def runs_in_flight(
    instance: dg.DagsterInstance, job_name: str, timeout_of: Callable[[dg.DagsterRun], float], ts: float
) -> Iterator[dg.DagsterRun]:
    """The runs of the job in flight at `ts` (epoch s). Those that are dead are reported as failed and left out.

    `timeout_of` says after how many seconds a run counts as dead.
    """
    for record in instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=IN_FLIGHT)):
        run, timeout_s = record.dagster_run, timeout_of(record.dagster_run)
        since = record.start_time or record.create_timestamp.timestamp()
        if run.status not in _MAY_BE_DEAD or ts - since <= timeout_s:
            yield run
            continue
        instance.report_run_failed(
            run, f"Did not end within {timeout_s:g} s (PIPELINE_V6_RUN_TIMEOUT), so its process counts as dead."
        )


def fail_dead_runs(instance: dg.DagsterInstance, timeout_s: float, ts: float) -> None:
    """Report the runs of all jobs that have not ended after `timeout_s`, or after the time that their tag allows."""
    names = {record.dagster_run.job_name for record in instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT))}
    for name in names:
        for _ in runs_in_flight(instance, name, lambda run: float(run.tags.get(MAX_RUNTIME_TAG, timeout_s)), ts):
            pass  # Dead ones are reported on the way.


def last_run_ts(instance: dg.DagsterInstance, job_name: str) -> float | None:
    """When the newest run of the job was asked for (epoch s); None if there is none."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1)
    return records[0].create_timestamp.timestamp() if records else None
