"""The checks on `shadow_log` and `shadow_head`: are our logs whole, is the executor alive."""

from collections.abc import Iterator

import dagster as dg

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.checks.finding import Finding, check
from pipeline_v6_dagster.defs.resources import Pipeline
from pipeline_v6_dagster.defs.tables import moment
from pipeline_v6_dagster.stages.inputs import LOGS, observe_input

_LOG_COLUMNS = {"input": "string", "path": "string", "size_bytes": "int", "newest": "string", "age_s": "float"}


def shadow_checks(settings: Settings) -> Iterator[dg.AssetChecksDefinition]:
    """`executor_alive`."""
    yield check("executor_alive", "shadow_head", _executor_alive)


def _executor_alive(pipeline: Pipeline) -> Finding:
    """By its newest attempt, not by ours: the head is written anew also while the executor is silent."""
    settings, now = pipeline.settings, pipeline.clock()
    states = [observe_input(settings, name, now) for name in LOGS]
    attempts = states[0]
    limit_s = settings.executor_silence_s
    if attempts.age_s is None or attempts.newest_ts is None:
        text = f"{attempts.path}: holds no attempt with a time, so nothing tells that the executor is alive"
    else:
        text = f"newest attempt {moment(attempts.newest_ts)}, {attempts.age_s:.0f} s ago; {limit_s:g} s at most"
    is_alive = attempts.age_s is not None and attempts.age_s <= limit_s
    return Finding(
        has_passed=is_alive,
        is_measured=attempts.age_s is not None,
        severity=dg.AssetCheckSeverity.WARN,
        text=text,
        count=int(not is_alive),
        columns=_LOG_COLUMNS,
        sample=[
            {
                "input": state.name,
                "path": str(state.path),
                "size_bytes": state.size_bytes,
                "newest": None if state.newest_ts is None else moment(state.newest_ts),
                "age_s": state.age_s,
            }
            for state in states
        ],
        figures={"newest_attempt_age_s": attempts.age_s, "limit_s": limit_s},
    )
