"""The checks that look at logs instead of the summary: are our logs whole, is the executor alive."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import msgspec

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import Severity
from pipeline_v6_dagster.defs.dagster_internals import latest_evaluation
from pipeline_v6_dagster.defs.keys import REMEMBERED
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.logs.chain_follower import Verified
from pipeline_v6_dagster.stages.doctor.inputs import InputState, observe_inputs
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.outputs.rows import utc_text

_INPUT_COLUMNS = {"input": "string", "newest": "string", "age_s": "float", "size_bytes": "int", "path": "string"}

_LOGS_INTACT = dg.AssetCheckKey(dg.AssetKey("compare_summary"), "logs_intact")


def verified_by_last_run(instance: dg.DagsterInstance, executor: str | None) -> Verified | None:
    """What the last evaluation of `logs_intact` verified, where it passed.

    It stands in Dagster's storage, where who can write the logs cannot change it.
    """
    evaluation = latest_evaluation(instance, _LOGS_INTACT, executor)
    if evaluation is None or not evaluation.passed or REMEMBERED not in evaluation.metadata:
        return None
    try:
        return msgspec.convert(evaluation.metadata[REMEMBERED].value, type=Verified)
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
