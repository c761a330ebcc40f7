"""The sensor that turns failed and crashed checks, and failed runs, into messages."""

from collections.abc import Callable

import dagster as dg

from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings
from pipeline_v6_dagster.defs.history import History, read_cursor, write_cursor
from pipeline_v6_dagster.defs.run_slots import MIN_RUN_SPACING_S
from pipeline_v6_dagster.domain.errors import BusyError
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk, AlertRun

_LONGEST_POLL_S = 15
_POLLS_PER_SPACING = 4


def alert_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    """`parity_alert_sensor`."""
    desk = AlertDesk(settings, clock)
    spacing_s = max(INTERVAL_FLOOR_S, MIN_RUN_SPACING_S)

    @dg.sensor(
        name="parity_alert_sensor",
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(1, min(_LONGEST_POLL_S, int(spacing_s / _POLLS_PER_SPACING))),
        description=(
            "Tells what fails: each failed or crashed check and each failed run once when it begins, every"
            f" {settings.alert_repeat_s / 3600:g} h while it lasts, and when it is over. Every message is in"
            f" {settings.alert_outbox.name} before it is sent; a channel that is down gets it later. Starts no run."
        ),
    )
    def parity_alert_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        assert context.repository_def is not None  # noqa: S101 -- the daemon always names it
        keys = context.repository_def.asset_graph.asset_check_keys
        history = History(context.instance, keys, read_cursor(context.cursor), settings)
        runs = history.ended_runs()
        try:
            run = desk.run(runs)
        except BusyError as error:
            return dg.SensorResult(skip_reason=f"{error}; the next tick tries again", cursor=context.cursor)
        return dg.SensorResult(skip_reason=_said(settings, len(runs), run), cursor=write_cursor(history.cursor))

    return parity_alert_sensor


def _said(settings: Settings, runs: int, run: AlertRun) -> str:
    said = f"{runs} runs have ended since the last tick; {len(run.recorded)} messages recorded, {run.delivered} sent"
    if run.waiting:
        waiting = ", ".join(f"{channel} {count}" for channel, count in run.waiting.items())
        said += f"; not taken yet, tried again at the next tick: {waiting}"
    if not settings.alert_urls:
        said += "; PIPELINE_V6_ALERT_URLS is empty, so they are in the outbox alone"
    return said
