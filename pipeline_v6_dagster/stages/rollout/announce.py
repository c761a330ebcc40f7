"""A message for every change of what v6 may do. It follows the change, which waits for no channel."""

from pipeline_v6_dagster.alerts.guidance import GUIDANCE, ROLLOUT_MOVED
from pipeline_v6_dagster.alerts.message import Message, Severity
from pipeline_v6_dagster.alerts.states import Evidence
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_percent
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutRecord
from pipeline_v6_dagster.logs.rollout_log import read_rollout
from pipeline_v6_dagster.stages.outputs.alerts import COMMAND_LINE, AlertDesk
from pipeline_v6_dagster.stages.outputs.links import alert_links, runbook_link

SUBJECT = "rollout/moved"
# A change that was recorded and not announced is made up for by whoever looks next; a day later it is history.
_ANNOUNCED_S = 86_400.0
_TO_DO = {
    RolloutEvent.ROLLBACK: "v6 is off. Find the cause: run pipeline-v6 status and pipeline-v6 explain with the id of an"
    " offender. To start over, fix it, acknowledge it with --fixed-at, and approve on the PASS of the new epoch.",
    RolloutEvent.PAUSE: "v6 places no orders. Fix what is named; once the verdict is PASS again, run pipeline-v6"
    " rollout resume.",
}


def announce_moves(
    settings: Settings, now: float, *, host: str | None = None, run_id: str | None = None
) -> list[Message]:
    """Record a message in the outbox for every change of the last day that has none. Returns what was recorded.

    Raises:
        BusyError, StorageError: the outbox cannot be written.
        DataError: it holds what is not ours.
    """
    if not settings.rollout_log.exists():
        return []
    try:
        records, _ = read_rollout(settings)
    except DataError:
        return []  # The check of the rollout says so.
    moves = [each for each in records if _is_move(each) and abs(now - each.ts) <= _ANNOUNCED_S]
    if not moves:
        return []
    desk = AlertDesk(settings, lambda: now, host=host)
    return desk.record([[_evidence(settings, record, run_id)] for record in moves])


def _is_move(record: RolloutRecord) -> bool:
    return record.event not in (RolloutEvent.DOUBT, RolloutEvent.CLEAR)


def _evidence(settings: Settings, record: RolloutRecord, run_id: str | None) -> Evidence:
    is_bad = record.is_automatic or record.event is RolloutEvent.ROLLBACK
    return Evidence(
        subject=SUBJECT,
        name=ROLLOUT_MOVED,
        id=f"rollout/{record.sequence}",
        ts=record.ts,
        run_id=run_id or COMMAND_LINE,
        severity=Severity.ERROR if is_bad else Severity.WARN,
        text=describe_record(record),
        todo=_TO_DO.get(record.event, GUIDANCE[ROLLOUT_MOVED].todo),
        link=runbook_link(settings, ROLLOUT_MOVED),
        links=alert_links(settings, ROLLOUT_MOVED, None, run_id),
        failing_ids=(f"rollout/{record.sequence}",),
        is_once=True,
    )


def describe_record(record: RolloutRecord) -> str:
    """A line of the history in a sentence: what happened, by whom, why, and where the rollout stands since."""
    stage = record.stage
    place = (
        ""
        if stage is None
        else (f" in stage {stage.name} ({format_percent(stage.notional_share)} of {', '.join(stage.symbols)})")
    )
    trading = "" if record.trading_state == "active" else f", trading {record.trading_state}"
    return f"{record.event} by {record.by}: {record.why}; v6 is {record.state}{place}{trading}"
