"""Runs that have ended since a cursor, as evidence for alerts: what no run can record itself.

What a check says is recorded by the run that evaluates it. A run that failed, or a check that crashed and so never said
anything, is seen only from outside.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import msgspec

from pipeline_v6_dagster.alerts.guidance import GUIDANCE, LAUNCHED_RUN_TODO, RUN_FAILED
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.alerts.states import Evidence
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import (
    errors_of_run,
    is_launched_by_a_person,
    silent_checks,
    will_be_retried,
)
from pipeline_v6_dagster.defs.jobs import CHECKS_OF_JOB
from pipeline_v6_dagster.defs.keys import DRILL_JOB, REPLAY_JOB, executor_of_run
from pipeline_v6_dagster.stages.outputs.fleet_alerts import subject_of_executor
from pipeline_v6_dagster.stages.outputs.links import alert_links, runbook_link

_PAGE = 50
_LONGEST_ERROR = 500
# No sensor starts these again soon: a failure is announced once, and its state does not last until the next run.
_SELDOM_RUN = (DRILL_JOB, REPLAY_JOB)


class Cursor(msgspec.Struct):
    """The highest run and the runs that had not ended, by storage id."""

    run: int | None = None
    open_runs: list[int] = []


def read_cursor(text: str | None) -> Cursor:
    """The cursor; an empty one if there is none or it is not understood. The outbox knows what was announced."""
    try:
        return msgspec.json.decode(text or "", type=Cursor)
    except msgspec.DecodeError:
        return Cursor()


def write_cursor(cursor: Cursor) -> str:
    """As `read_cursor` reads it."""
    return msgspec.json.encode(cursor).decode()


def ended_runs(instance: dg.DagsterInstance, cursor: Cursor, settings: Settings) -> tuple[list[Evidence], Cursor]:
    """The evidence of each run that has ended since the cursor, oldest first; and the next cursor.

    A run that was canceled, or that Dagster tries again by itself, is no evidence.
    """
    runs = list(_new_runs(instance, cursor))
    ended = [run for run in runs if run.dagster_run.is_finished]
    next_cursor = Cursor(
        run=max((run.storage_id for run in runs), default=cursor.run or 0),
        open_runs=[run.storage_id for run in runs if not run.dagster_run.is_finished],
    )
    next_cursor.run = max(next_cursor.run or 0, cursor.run or 0)
    evidence = (_evidence(instance, run, settings) for run in sorted(ended, key=lambda run: run.storage_id))
    return [each for each in evidence if each is not None], next_cursor


def _new_runs(instance: dg.DagsterInstance, cursor: Cursor) -> Iterator[dg.RunRecord]:
    """The runs that are new or had not ended; without a cursor the newest alone."""
    still_open = set(cursor.open_runs)
    lowest = min(still_open, default=cursor.run)
    before: str | None = None
    while True:
        page = instance.get_run_records(limit=_PAGE, cursor=before)
        for record in page:
            if cursor.run is None or record.storage_id > cursor.run or record.storage_id in still_open:
                yield record
            if lowest is None or record.storage_id <= lowest:
                return
        if len(page) < _PAGE:
            return
        before = page[-1].dagster_run.run_id


def _evidence(instance: dg.DagsterInstance, record: dg.RunRecord, settings: Settings) -> Evidence | None:
    """Whether the job works. A check that crashed, or that the failure kept from being evaluated, is named."""
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.CANCELED or will_be_retried(run):
        return None
    has_failed = run.status is dg.DagsterRunStatus.FAILURE
    is_once = is_launched_by_a_person(run) or run.job_name in _SELDOM_RUN
    silent = silent_checks(instance, run.run_id, CHECKS_OF_JOB.get(run.job_name, ())) if has_failed else []
    return Evidence(
        # Without a fleet a partition is a month.
        subject=subject_of_executor(
            None if settings.fleet_file is None else executor_of_run(run.tags), f"run/{run.job_name}"
        ),
        name=RUN_FAILED,
        id=run.run_id,
        ts=record.end_time or record.update_timestamp.timestamp(),
        run_id=run.run_id,
        severity=_severity(has_failed, is_once),
        text=_text(run, errors_of_run(instance, run.run_id), silent) if has_failed else f"{run.job_name} succeeded",
        todo=LAUNCHED_RUN_TODO if is_once else GUIDANCE[RUN_FAILED].todo,
        link=runbook_link(settings, RUN_FAILED),
        links=alert_links(settings, RUN_FAILED, None, run.run_id),
        count=len(silent),
        is_once=is_once,
    )


def _severity(has_failed: bool, is_once: bool) -> Severity | None:
    if not has_failed:
        return None
    # The person who launched the run sees that it failed; the verdict does not wait for a drill or a replay.
    return Severity.WARN if is_once else Severity.ERROR


def _text(run: dg.DagsterRun, errors: Sequence[str], silent: Sequence[str]) -> str:
    said = "; ".join(" ".join(error.split())[:_LONGEST_ERROR] for error in errors) or "it ended without an error"
    text = f"{run.job_name} failed: {said}"
    return f"{text}. These checks were not evaluated: {', '.join(silent)}" if silent else text
