"""The sensor that delivers alerts, and records those that no run can record itself: about runs that failed."""

import socket
from collections.abc import Callable

import dagster as dg

from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings
from pipeline_v6_dagster.defs.ended_runs import ended_runs, read_cursor, write_cursor
from pipeline_v6_dagster.defs.run_slots import MIN_RUN_SPACING_S
from pipeline_v6_dagster.domain.errors import BusyError
from pipeline_v6_dagster.stages.outputs.alerts import AlertDesk, AlertRun

_LONGEST_POLL_S = 15
_POLLS_PER_SPACING = 4
ALERT_POLL_S = max(1, min(_LONGEST_POLL_S, int(max(INTERVAL_FLOOR_S, MIN_RUN_SPACING_S) / _POLLS_PER_SPACING)))


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """The sensor of this module. A fleet has its own."""
    return dg.Definitions(sensors=[_alert_sensor(settings, clock)] if settings.fleet_file is None else [])


def _alert_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    """`parity_alert_sensor`."""
    desk = AlertDesk(settings, clock, host=socket.gethostname())

    @dg.sensor(
        name="parity_alert_sensor",
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=ALERT_POLL_S,
        description=(
            f"Delivers the alerts that wait in {settings.alert_outbox.name}, and records those about failed runs. A"
            f" state is announced when it begins, every {settings.alert_repeat_s / 3600:g} h while it lasts, and when"
            " it is over. A channel that is down gets its messages later. Starts no run."
        ),
    )
    def parity_alert_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        evidence, cursor = ended_runs(context.instance, read_cursor(context.cursor), settings)
        try:
            run = desk.run([[each] for each in evidence])
        except BusyError as error:
            return dg.SensorResult(skip_reason=f"{error}; the next tick tries again", cursor=context.cursor)
        return dg.SensorResult(skip_reason=status_text(settings, len(evidence), run), cursor=write_cursor(cursor))

    return parity_alert_sensor


def status_text(settings: Settings, runs: int, run: AlertRun) -> str:
    """What a tick has done."""
    text = f"{runs} runs have ended since the last tick; {len(run.recorded)} messages recorded, {run.delivered} sent"
    if run.waiting:
        waiting = ", ".join(f"{channel} {count}" for channel, count in run.waiting.items())
        text += f"; not accepted yet, tried again at the next tick: {waiting}"
    if not settings.alert_urls:
        text += "; PIPELINE_V6_ALERT_URLS is empty, so alerts stay in the outbox"
    return text
