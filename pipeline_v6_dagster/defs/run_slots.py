"""Whether a job may be started now: one run per interval, never two in flight, whoever asks.

Time is cut into slots of one interval, counted from the epoch. A run carries its slot as a tag, so sensor and
schedule see each other's runs, and a daemon that was down makes up for one slot, not for all it missed. A run that
died without a word is found by its age, so that it does not hold up its job for ever.

Clocks step. Whether a slot is taken is read from the order in which runs were asked for, not from their times. A run
whose age cannot be right, because it began in the future or is suddenly too old, is marked once, with a warning, and
then has as long as the mark lasts.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dagster as dg

from pipeline_v6_dagster.defs.keys import EARLY_TAG, MAX_RUNTIME_TAG, OVERDUE_TAG, SLOT_TAG

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
# What a run that is suddenly too old still has: a step of the clock makes every run so, and a run takes seconds.
OVERDUE_GRACE_S = 60.0
# Clocks of one host do not differ by more; a time further ahead was written before the clock stepped back.
CLOCK_TOLERANCE_S = 60.0
# So many runs in a row may have been launched by hand, without a slot.
_LOOKED_AT_RUNS = 50
# Where Dagster's processes show what happens.
_logger = logging.getLogger("dagster.pipeline_v6")
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
        return {SLOT_TAG: self.slot_name(ts)}

    def slot_name(self, ts: float) -> str:
        """Names the slot of `ts` among those of all intervals that the job may have had."""
        return f"{self.interval_s:g}s/{self.slot(ts)}"


def request_or_skip(instance: dg.DagsterInstance, pace: RunInterval, ts: float) -> dg.RunRequest | dg.SkipReason:
    """A run for the slot of `ts`, or why there is none and when the next one is due."""
    in_flight = run_in_flight(instance, pace, ts)
    if in_flight is not None:
        return dg.SkipReason(f"run {in_flight} of {pace.job_name} is still in flight; {pace.due_in(ts)}")
    tags = pace.slot_tags(ts)
    taken = instance.get_run_records(dg.RunsFilter(job_name=pace.job_name, tags=tags), limit=1)
    if taken and _is_latest_slot(instance, pace, ts):
        return dg.SkipReason(f"{pace.job_name} ran in this interval; {pace.due_in(ts)}")
    # After a clock that stepped back the slots come again, and Dagster never starts the same key twice.
    again = f"/after {taken[0].dagster_run.run_id}" if taken else ""
    if taken:
        _logger.warning("%s: the clock stepped back, to an interval that has had its run; it runs again", pace.job_name)
    return dg.RunRequest(run_key=f"{pace.job_name}/{tags[SLOT_TAG]}{again}", tags=tags)


def _is_latest_slot(instance: dg.DagsterInstance, pace: RunInterval, ts: float) -> bool:
    """Whether the newest run that has a slot is of the slot of `ts`.

    A run that repeats another has the tags of that one, and says nothing about when it was asked for.
    """
    for record in instance.get_run_records(dg.RunsFilter(job_name=pace.job_name), limit=_LOOKED_AT_RUNS):
        tags = record.dagster_run.tags
        if record.dagster_run.parent_run_id is not None:
            continue
        if SLOT_TAG in tags:
            return tags[SLOT_TAG] == pace.slot_name(ts)
        if EARLY_TAG in tags:
            return tags[EARLY_TAG] == str(pace.slot(ts))
    return True


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
        if run.status not in _MAY_BE_DEAD or _may_be_alive(instance, run, timeout_s, ts - since, ts):
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


def _may_be_alive(instance: dg.DagsterInstance, run: dg.DagsterRun, timeout_s: float, age_s: float, ts: float) -> bool:
    """Whether a run in flight has not had its time; marks it at `ts` where its age may be that of a clock's step."""
    is_ahead = age_s < -CLOCK_TOLERANCE_S
    if not is_ahead and age_s <= timeout_s:
        return True
    mark = run.tags.get(OVERDUE_TAG)
    marked_s = None if mark is None else ts - float(mark)
    if marked_s is None or marked_s < -CLOCK_TOLERANCE_S:
        _logger.warning(
            "run %s of %s %s; it is given %g s more, because the clock may have stepped",
            run.run_id,
            run.job_name,
            f"began {-age_s:.0f} s in the future" if is_ahead else f"is in flight for {age_s:.0f} s",
            timeout_s if is_ahead else OVERDUE_GRACE_S,
        )
        instance.add_run_tags(run.run_id, {OVERDUE_TAG: repr(ts)})
        return True
    return marked_s <= (timeout_s if is_ahead else OVERDUE_GRACE_S)


def seconds_since_last_run(instance: dg.DagsterInstance, job_name: str, ts: float) -> float | None:
    """How long ago the newest run of the job was asked for; None if there is none or the clock stepped back since."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name), limit=1)
    if not records:
        return None
    ago_s = ts - records[0].create_timestamp.timestamp()
    return ago_s if ago_s >= -CLOCK_TOLERANCE_S else None
