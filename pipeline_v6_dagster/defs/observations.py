"""The inputs as observations: what the executor has written, told without a run."""

from collections.abc import Callable

import dagster as dg
import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.stages.doctor.inputs import InputState, observe_inputs

_LONGEST_POLL_S = 30
_DATA_VERSION_TAG = "dagster/data_version"


class _Cursor(msgspec.Struct):
    next_due_ts: float


def logs_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    """`executor_logs_sensor`: each input once per heartbeat interval, also while nothing is written."""
    interval_s = settings.heartbeat_interval_s

    @dg.sensor(
        name="executor_logs_sensor",
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(1, min(_LONGEST_POLL_S, int(interval_s / 4))),
        description=f"Observes every input every {interval_s:g} s: size, newest time, age, version. Starts no run.",
    )
    def executor_logs_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = clock()
        due_ts = _due_ts(context.cursor)
        # A due time further away than one interval was written under another interval, or by a clock that was ahead.
        if due_ts is not None and now < due_ts <= now + interval_s:
            return dg.SensorResult(
                skip_reason=f"the inputs were observed in this interval; next due in {due_ts - now:.0f} s"
            )
        cursor = _Cursor((int(now // interval_s) + 1) * interval_s)
        return dg.SensorResult(
            asset_events=[_observation(state) for state in observe_inputs(settings, now)],
            skip_reason=f"observed; next due in {cursor.next_due_ts - now:.0f} s",
            cursor=msgspec.json.encode(cursor).decode(),
        )

    return executor_logs_sensor


def _due_ts(cursor: str | None) -> float | None:
    try:
        return msgspec.json.decode(cursor or "", type=_Cursor).next_due_ts
    except msgspec.DecodeError:
        return None


def _observation(state: InputState) -> dg.AssetObservation:
    return dg.AssetObservation(
        state.name,
        metadata={
            "path": dg.MetadataValue.path(state.path),
            "is_missing": state.version is None,
            **({"size_bytes": state.size_bytes} if state.size_bytes is not None else {}),
            **({"newest": dg.MetadataValue.timestamp(state.newest_ts)} if state.newest_ts is not None else {}),
            **({"age_s": state.age_s} if state.age_s is not None else {}),
        },
        tags={_DATA_VERSION_TAG: state.version or "missing"},
    )
