"""What Dagster knows of runs and checks since a cursor, oldest first, as evidence for alerts.

A row of a check is made when its run is planned and updated when the check has spoken; a check that crashes never
speaks. So the cursor keeps per check the highest row *and* the rows whose run has not ended, and a run is read as a
whole once it has. `get_asset_check_execution_history` is not a public call of Dagster: it is used here and nowhere
else, and a test holds what is relied on.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg
import msgspec
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from pipeline_v6_dagster.alerts.guidance import RUN_FAILED
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.alerts.states import Evidence
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.keys import COUNT, IS_MEASURED, OFFENDERS
from pipeline_v6_dagster.defs.runbook import runbook_link

_PAGE = 50
# Dagster's mark on a failed run that it starts again by itself.
_WILL_RETRY_TAG = "dagster/will_retry"
_LONGEST_ERROR = 500


class Cursor(msgspec.Struct):
    """Per check the highest row and the rows still open; the highest run and the runs still open, by storage id."""

    checks: dict[str, int] = {}
    open_checks: dict[str, list[int]] = {}
    run: int | None = None
    open_runs: list[int] = []


def read_cursor(text: str | None) -> Cursor:
    """The cursor; a new one where there is none or it is not understood. The outbox knows what was told."""
    try:
        return msgspec.json.decode(text or "", type=Cursor)
    except msgspec.DecodeError:
        return Cursor()


def write_cursor(cursor: Cursor) -> str:
    """As `read_cursor` reads it."""
    return msgspec.json.encode(cursor).decode()


class History:
    """The runs that have ended since the cursor, each with its checks. `cursor` is then where to go on."""

    def __init__(
        self, instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey], cursor: Cursor, settings: Settings
    ) -> None:
        self._instance = instance
        self._keys = sorted(keys, key=_subject)
        self._settings = settings
        self.cursor = cursor

    def ended_runs(self) -> list[list[Evidence]]:
        """The evidence of each run that has ended, in the order in which the runs were asked for."""
        # The runs first: what a run that has ended left unsaid is then unsaid for good.
        runs = {run.dagster_run.run_id: run for run in self._new_runs()}
        checks = self._new_checks()
        named = {record.run_id for record in checks}
        missing = list(named - runs.keys())
        if missing:
            for run in self._instance.get_run_records(dg.RunsFilter(run_ids=missing)):
                runs[run.dagster_run.run_id] = run
            checks = self._new_checks()
        # A run that nobody knows any more was deleted; one that is first named now is read the next time.
        checks = [record for record in checks if record.run_id in runs or record.run_id not in named]
        still_open = [
            record for record in checks if record.run_id not in runs or not runs[record.run_id].dagster_run.is_finished
        ]
        of_run: dict[str, list[AssetCheckExecutionRecord]] = {}
        for record in checks:
            of_run.setdefault(record.run_id, []).append(record)
        newest = {_subject(key): 0 for key in self._keys} | self.cursor.checks
        for record in checks:
            newest[_subject(record.key)] = max(record.id, newest[_subject(record.key)])
        self.cursor = Cursor(
            checks=newest,
            open_checks=_open(still_open),
            run=max((run.storage_id for run in runs.values()), default=self.cursor.run or 0),
            open_runs=[run.storage_id for run in runs.values() if not run.dagster_run.is_finished],
        )
        return [
            list(self._evidence(run, of_run.get(run.dagster_run.run_id, [])))
            for run in sorted(runs.values(), key=lambda run: run.storage_id)
            if run.dagster_run.is_finished
        ]

    def _new_checks(self) -> list[AssetCheckExecutionRecord]:
        found: list[AssetCheckExecutionRecord] = []
        for key in self._keys:
            subject = _subject(key)
            highest = self.cursor.checks.get(subject)
            still_open = set(self.cursor.open_checks.get(subject, ()))
            lowest = min(still_open, default=highest)
            for record in self._pages(key):
                if highest is None or record.id > highest or record.id in still_open:
                    found.append(record)
                # Without a cursor the newest row alone tells how things are.
                if lowest is None or record.id <= lowest:
                    break
        return found

    def _pages(self, key: dg.AssetCheckKey) -> Iterator[AssetCheckExecutionRecord]:
        before: int | None = None
        while True:
            page = self._instance.event_log_storage.get_asset_check_execution_history(key, limit=_PAGE, cursor=before)
            yield from page
            if len(page) < _PAGE:
                return
            before = page[-1].id

    def _new_runs(self) -> list[dg.RunRecord]:
        """The runs that are new or were open; without a cursor the newest alone."""
        still_open = set(self.cursor.open_runs)
        highest = self.cursor.run
        lowest = min(still_open, default=highest)
        found: list[dg.RunRecord] = []
        before: str | None = None
        while True:
            page = self._instance.get_run_records(limit=_PAGE, cursor=before)
            for record in page:
                if highest is None or record.storage_id > highest or record.storage_id in still_open:
                    found.append(record)
                if lowest is None or record.storage_id <= lowest:
                    return found
            if len(page) < _PAGE:
                return found
            before = page[-1].dagster_run.run_id

    def _evidence(self, run: dg.RunRecord, checks: Sequence[AssetCheckExecutionRecord]) -> Iterator[Evidence]:
        silent = sorted(record.key.name for record in checks if _is_planned(record))
        yield from self._run_evidence(run, silent)
        for record in sorted(checks, key=lambda record: record.id):
            if not _is_planned(record):
                yield self._spoken(record)

    def _run_evidence(self, run: dg.RunRecord, silent: Sequence[str]) -> Iterator[Evidence]:
        """Whether the job works. A check that crashed, or that the failure kept from being asked, is named."""
        dagster_run = run.dagster_run
        if dagster_run.status is dg.DagsterRunStatus.CANCELED or dagster_run.tags.get(_WILL_RETRY_TAG) == "true":
            return
        has_failed = dagster_run.status is dg.DagsterRunStatus.FAILURE or bool(silent)
        errors = _step_failures(self._instance, run) if has_failed else []
        text = f"{dagster_run.job_name} succeeded"
        if has_failed:
            text = f"{dagster_run.job_name} failed: {'; '.join(errors) or _run_failure(self._instance, run)}"
        if silent:
            text += f". Nothing is known of what these check: {', '.join(silent)}"
        yield Evidence(
            subject=f"run/{dagster_run.job_name}",
            name=RUN_FAILED,
            id=dagster_run.run_id,
            ts=run.end_time or run.update_timestamp.timestamp(),
            run_id=dagster_run.run_id,
            severity=Severity.ERROR if has_failed else None,
            text=text,
            link=runbook_link(self._settings, RUN_FAILED),
            count=len(silent) if has_failed else 0,
        )

    def _spoken(self, record: AssetCheckExecutionRecord) -> Evidence:
        assert record.event is not None and record.evaluation is not None  # noqa: S101 -- what a status other than PLANNED means
        evaluation = record.evaluation
        values: dict[str, Any] = {name: value.value for name, value in evaluation.metadata.items()}
        return Evidence(
            subject=_subject(record.key),
            name=record.key.name,
            id=f"{record.run_id}/{record.id}",
            ts=record.event.timestamp,
            run_id=record.run_id,
            severity=None if evaluation.passed else Severity(evaluation.severity.value),
            text=evaluation.description or "",
            link=runbook_link(self._settings, record.key.name),
            count=values.get(COUNT),
            offenders=tuple(map(str, values.get(OFFENDERS, ()))),
            is_measured=values.get(IS_MEASURED, True),
        )


def latest_evaluation(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """What a check said last; None where it has not spoken lately."""
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=_PAGE)
    return next((record.evaluation for record in history if not _is_planned(record)), None)


def _subject(key: dg.AssetCheckKey) -> str:
    return f"{key.asset_key.to_user_string()}/{key.name}"


def _is_planned(record: AssetCheckExecutionRecord) -> bool:
    return record.status is AssetCheckExecutionRecordStatus.PLANNED


def _open(checks: Iterable[AssetCheckExecutionRecord]) -> dict[str, list[int]]:
    still_open: dict[str, list[int]] = {}
    for record in checks:
        still_open.setdefault(_subject(record.key), []).append(record.id)
    return still_open


def _step_failures(instance: dg.DagsterInstance, run: dg.RunRecord) -> list[str]:
    """Each failed step with its error, in a line."""
    failures = []
    for entry in instance.all_logs(run.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is not None and event.step_key is not None:
            error = event.step_failure_data.error
            # Dagster wraps what a step raised in an error of its own; what caused that in turn says less.
            error = error.cause if error is not None and error.cause is not None else error
            failures.append(f"{event.step_key}: {_line(error.message if error is not None else entry.message)}")
    return failures


def _run_failure(instance: dg.DagsterInstance, run: dg.RunRecord) -> str:
    """Why a run failed without a failed step."""
    entries = instance.all_logs(run.dagster_run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return _line(entries[-1].message) if entries else "it ended without a word"


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_ERROR]
