"""The sign-off: what a head of trading puts a name to before v6 moves up, with the links that make it verifiable."""

from collections.abc import Sequence
from pathlib import Path

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_percent, format_time
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutRecord
from pipeline_v6_dagster.domain.summary import EpochSummary, EvidencePart
from pipeline_v6_dagster.logs.compare_log import open_compare_log
from pipeline_v6_dagster.logs.rollout_log import open_rollout_log, read_rollout
from pipeline_v6_dagster.reports.sign_off import SignOffPage, SignOffTable, render_sign_off
from pipeline_v6_dagster.stages.outputs.rollout_stand import describe_rollout
from pipeline_v6_dagster.stages.outputs.status import Report, read_status
from pipeline_v6_dagster.storage.files import replace_file

# Notes of compare that change nothing are not for a signature.
_NOTES = (RolloutEvent.DOUBT, RolloutEvent.CLEAR)


def sign_off_path(settings: Settings) -> Path:
    """Where the page stands."""
    return settings.logs_dir / "reports" / "pipeline_v6_sign_off.html"


def write_sign_off(settings: Settings, now: float) -> Report:
    """Write the page over the verdict as of `now` (epoch s); returns the status that it shows.

    Raises:
        DataError: nothing was compared yet, or a log is not understood.
        StorageError: a log cannot be read, or the page not be written.
    """
    status = read_status(settings, now)
    if status.summary is None:
        raise DataError(f"{settings.compare_diffs}: nothing to sign off yet; run pipeline-v6 shadow and compare")
    records, _ = read_rollout(settings)
    page = SignOffPage(
        verdict=status.verdict.value,
        as_of=format_time(now),
        standing="No rollout was begun." if status.rollout is None else f"{describe_rollout(status.rollout)}.",
        reasons=(*status.reasons, *status.stale),
        tables=(
            _epoch_table(status.summary.epoch),
            _criteria_table(status),
            _coverage_table(status),
            _history(records),
        ),
        links=_links(settings),
    )
    replace_file(sign_off_path(settings), render_sign_off(page).encode())
    return status


def _epoch_table(epoch: EpochSummary) -> SignOffTable:
    rows = (
        ("identity", epoch.identity or "none yet"),
        ("began", format_time(epoch.since_ts)),
        ("newest decision", format_time(epoch.newest_ts)),
        ("number that counts", f"{epoch.number:,}, {epoch.uncounted_restarts:,} restarts that did not count"),
        ("tested at an error rate of", format_percent(epoch.error_rate)),
        ("evidence from the shadow", _describe_part(epoch.shadow)),
        ("evidence from orders that v6 placed", _describe_part(epoch.live)),
    )
    return SignOffTable("Epoch", ("", ""), rows, "")


def _describe_part(part: EvidencePart) -> str:
    return f"{part.decisions:,} decisions, {part.executed:,} executed, {part.mismatches:,} mismatches"


def _criteria_table(status: Report) -> SignOffTable:
    rows = [(each.name, each.group, each.state, each.measured, each.limit) for each in status.criteria]
    return SignOffTable("Criteria", ("criterion", "group", "state", "measured", "limit"), rows, "None was evaluated.")


def _coverage_table(status: Report) -> SignOffTable:
    rows = [(name, "passed") for name in status.passed_symbols] + [(name, "NOT covered") for name in status.not_covered]
    return SignOffTable("Symbols", ("symbol", "evidence"), rows, "No symbol has passed, and none is in scope.")


def _history(records: Sequence[RolloutRecord]) -> SignOffTable:
    rows = [
        (
            format_time(each.ts),
            each.event,
            each.by,
            each.why,
            each.target.name if each.target is not None else "",
            each.state,
            f"{each.verdict or ''} {each.epoch.identity or '' if each.epoch is not None else ''}".strip(),
        )
        for each in records
        if each.event not in _NOTES
    ]
    columns = ("time", "event", "by", "why", "stage", "state since", "verdict and epoch")
    return SignOffTable("Who approved what", columns, rows, "Nobody has approved anything yet.")


def _links(settings: Settings) -> list[tuple[str, str]]:
    found = [(log.path.name, log.newest_link()) for log in (open_compare_log(settings), open_rollout_log(settings))]
    return [(name, str(link)) for name, link in found if link is not None]
