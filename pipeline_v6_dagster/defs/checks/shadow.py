"""The checks on `shadow_log` and `shadow_head`: are our logs whole, is the executor alive."""

import dagster as dg
import msgspec

from pipeline_v6_dagster.defs.checks.finding import Check, Finding, Look
from pipeline_v6_dagster.defs.history import latest_evaluation
from pipeline_v6_dagster.defs.keys import REMEMBERED
from pipeline_v6_dagster.defs.tables import moment
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.doctor.inputs import LOGS, observe_input

_LOG_COLUMNS = {"input": "string", "path": "string", "size_bytes": "int", "newest": "string", "age_s": "float"}

_NAMED = 3
# Reading all of a long history takes seconds, which a run a minute should not spend.
_ALL_EVERY_S = 86_400.0


class _Verified(msgspec.Struct):
    """The newest link of each log, and when all of it was read (epoch s)."""

    newest: dict[str, str]
    all_ts: float


def executor_alive() -> Check:
    """`executor_alive`."""
    return Check("executor_alive", "shadow_head", _executor_alive)


def log_integrity(asset: str) -> Check:
    """`log_integrity`, of all our logs, standing on the asset of one of them."""
    return Check("log_integrity", asset, lambda look: _log_integrity(look, asset))


def _log_integrity(look: Look, asset: str) -> Finding:
    """What was written since the last evaluation; all of it once a day, and where the last one did not pass."""
    settings, now = look.settings, look.now
    known = _remembered(look.instance, dg.AssetCheckKey(dg.AssetKey(asset), "log_integrity"))
    reports = []
    if known is not None:
        reports.append(verify_logs(settings, known.newest))
    if known is None or now - known.all_ts >= _ALL_EVERY_S:
        reports.append(verify_logs(settings))
        known = _Verified({}, now)
    logs = [log for report in reports for log in report.logs]
    findings = [finding for log in logs for finding in log.findings]
    count = sum(log.finding_count for log in logs)
    lines = sum(log.lines for log in reports[-1].logs)
    newest = {log.name: log.newest for log in reports[-1].logs if log.newest is not None}
    named = f"changed, removed or moved in {count} places: {'; '.join(findings[:_NAMED])}"
    return Finding(
        has_passed=count == 0,
        severity=dg.AssetCheckSeverity.ERROR,
        text=named if count else f"whole: {lines} lines read, the newest links are remembered",
        count=count,
        columns={"finding": "string"},
        sample=[{"finding": finding} for finding in findings],
        figures={"lines": lines, "torn_bytes": sum(log.torn_bytes for log in reports[-1].logs)},
        remembered=msgspec.to_builtins(_Verified(newest, known.all_ts)),
    )


def _remembered(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> _Verified | None:
    """What the last evaluation saw, where it passed."""
    evaluation = latest_evaluation(instance, key)
    if evaluation is None or not evaluation.passed or REMEMBERED not in evaluation.metadata:
        return None
    try:
        return msgspec.convert(evaluation.metadata[REMEMBERED].value, type=_Verified)
    except msgspec.ValidationError:
        return None


def _executor_alive(look: Look) -> Finding:
    """By its newest attempt, not by ours: the head is written anew also while the executor is silent."""
    settings, now = look.settings, look.now
    states = [observe_input(settings, name, now) for name in LOGS]
    attempts = states[0]
    limit_s = settings.executor_silence_s
    if attempts.age_s is None or attempts.newest_ts is None:
        text = f"{attempts.path}: holds no attempt with a time, so nothing tells that the executor is alive"
    else:
        away = f"{attempts.age_s:.0f} s ago" if attempts.age_s >= 0 else f"{-attempts.age_s:.0f} s in the future"
        text = f"newest attempt {moment(attempts.newest_ts)}, {away}; {limit_s:g} s at most"
    # A time far in the future tells as little of when the row was logged as none.
    is_alive = attempts.age_s is not None and abs(attempts.age_s) <= limit_s
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
