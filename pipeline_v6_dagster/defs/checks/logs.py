"""The checks that look at logs instead of the summary: are our logs whole, is the executor alive."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import msgspec

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.dagster_internals import latest_evaluation
from pipeline_v6_dagster.defs.keys import REMEMBERED
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.logs.verify import VerifyReport, verify_logs
from pipeline_v6_dagster.stages.doctor.inputs import InputState, observe_inputs
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.outputs.rows import utc_text
from pipeline_v6_dagster.storage.chain import link_from

_INPUT_COLUMNS = {"input": "string", "newest": "string", "age_s": "float", "size_bytes": "int", "path": "string"}

_LOGS_INTACT = dg.AssetCheckKey(dg.AssetKey("compare_summary"), "logs_intact")
# Reading all of a long history takes seconds, which a run a minute should not spend.
_ALL_EVERY_S = 86_400.0


class _Verified(msgspec.Struct):
    """The newest link of each log, and when all of it was read (epoch s)."""

    newest: dict[str, str]
    all_ts: float


class ChainVerifier:
    """Follows the hash chains from where the last run left them; from the beginning once a day, and after a failure.

    `remembered` is what the next run goes on from.
    """

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self._pipeline = pipeline
        self._instance = instance
        self.remembered: dict[str, Any] = {}

    def find_problems(self, settings: Settings) -> Sequence[str]:
        """What is wrong with our logs."""
        now = self._pipeline.clock()
        known = _remembered(self._instance, settings.executor)
        reports = []
        replaced: list[str] = []
        if known is not None:
            reports.append(verify_logs(settings, known.newest))
            replaced += _replaced_logs(reports[0], known.newest)
        # A time in the future was written by a clock that was ahead.
        if known is None or not 0 <= now - known.all_ts < _ALL_EVERY_S:
            reports.append(verify_logs(settings))
            known = _Verified({}, now)
        newest = {log.name: log.newest for log in reports[-1].logs if log.newest is not None}
        self.remembered = msgspec.to_builtins(_Verified(newest, known.all_ts))
        return [*replaced, *(finding for report in reports for log in report.logs for finding in log.findings)]


def _replaced_logs(report: VerifyReport, verified: Mapping[str, str]) -> Iterator[str]:
    """The logs whose newest verified line is gone: cut back and written again, or rebuilt."""
    for log in report.logs:
        link = link_from(verified.get(log.name, ""))
        if link is not None and (log.newest is None or (log.first_line or link.number + 1) <= link.number):
            yield f"{log.path}: replaced: line {link.number}, which an earlier run verified, is not there any more"


def _remembered(instance: dg.DagsterInstance, executor: str | None) -> _Verified | None:
    """What the last evaluation saw, where it passed."""
    evaluation = latest_evaluation(instance, _LOGS_INTACT, executor)
    if evaluation is None or not evaluation.passed or REMEMBERED not in evaluation.metadata:
        return None
    try:
        return msgspec.convert(evaluation.metadata[REMEMBERED].value, type=_Verified)
    except msgspec.ValidationError:
        return None


def executor_alive(pipeline: Pipeline) -> Evaluation:
    """By its newest attempt, not by ours: the head is also refreshed while the executor is silent."""
    settings, now = pipeline.settings, pipeline.clock()
    states = list(observe_inputs(settings, now))
    attempts = states[0]
    limit_s = settings.executor_silence_s
    if attempts.age_s is None or attempts.newest_ts is None:
        text = f"{attempts.path}: holds no attempt with a time, so nothing shows that the executor is alive"
    else:
        away = f"{attempts.age_s:,.0f} s ago" if attempts.age_s >= 0 else f"{-attempts.age_s:,.0f} s in the future"
        text = f"newest attempt {utc_text(attempts.newest_ts)}, {away}; {limit_s:,.0f} s at most"
    # A time far in the future says as little about when the row was logged as none.
    is_alive = attempts.age_s is not None and abs(attempts.age_s) <= limit_s
    return Evaluation(
        name="executor_alive",
        asset="shadow_head",
        has_passed=is_alive,
        is_measured=attempts.age_s is not None,
        severity=Severity.WARN,
        description=text,
        to_do=GUIDANCE["executor_alive"].todo,
        count=int(not is_alive),
        columns=_INPUT_COLUMNS,
        sample=_input_rows(states),
        shows_rows=True,
        figures={"newest_attempt_age_s": attempts.age_s, "limit_s": limit_s},
    )


def _input_rows(states: Sequence[InputState]) -> list[dict[str, Any]]:
    """Each input in a row: how new, how old (s), how large."""
    return [
        {
            "input": state.name,
            "newest": None if state.newest_ts is None else utc_text(state.newest_ts),
            "age_s": None if state.age_s is None else round(state.age_s, 1),
            "size_bytes": state.size_bytes,
            "path": str(state.path),
        }
        for state in states
    ]
