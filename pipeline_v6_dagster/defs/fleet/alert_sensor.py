"""The sensor that gathers the alerts of all executors and those about failed runs, groups them and delivers them."""

import socket
from collections.abc import Callable, Iterator

import dagster as dg
import msgspec

from pipeline_v6_dagster.alerts.message import Message
from pipeline_v6_dagster.config.fleet import load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.defs.alert_sensor import ALERT_POLL_S, status_text
from pipeline_v6_dagster.defs.ended_runs import Cursor, ended_runs
from pipeline_v6_dagster.defs.fleet.reporting import MESSAGES
from pipeline_v6_dagster.defs.keys import EXECUTOR_ALERTS
from pipeline_v6_dagster.defs.run_slots import IN_FLIGHT
from pipeline_v6_dagster.domain.errors import BusyError
from pipeline_v6_dagster.stages.outputs.fleet_alerts import FleetAlertDesk, decode_messages

# PostgreSQL gives out ids before it commits: one that is a little lower may become visible later. What is read twice is
# known by its id.
_OVERLAP_IDS = 2000
_PAGE = 500


class _Cursor(msgspec.Struct):
    """Which runs were seen to end, and up to which event (storage id) alerts were read."""

    runs: Cursor = msgspec.field(default_factory=Cursor)
    event: int = 0


def build(settings: Settings, clock: Callable[[], float]) -> dg.Definitions:
    """`parity_alert_sensor`, if there is a fleet."""
    return dg.Definitions(sensors=[] if settings.fleet_file is None else [_alert_sensor(settings, clock)])


def _alert_sensor(settings: Settings, clock: Callable[[], float]) -> dg.SensorDefinition:
    desk = FleetAlertDesk(settings, clock, host=socket.gethostname())

    @dg.sensor(
        name="parity_alert_sensor",
        target=None,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=ALERT_POLL_S,
        description=(
            f"Gathers the alerts of all executors in {settings.alert_outbox.name} of the fleet, groups those that say"
            " the same into one message, and delivers them. A channel that is down gets its messages later. Starts no"
            " run."
        ),
    )
    def parity_alert_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor = _read_cursor(context.cursor)
        evidence, runs = ended_runs(context.instance, cursor.runs, settings)
        found = list(_handed_over(context.instance, cursor.event))
        try:
            run = desk.run(
                (message for _, messages in found for message in messages),
                evidence,
                load_fleet(settings).executors,
                is_round_over=not context.instance.get_run_records(dg.RunsFilter(statuses=IN_FLIGHT), limit=1),
            )
        except BusyError as error:
            return dg.SensorResult(skip_reason=f"{error}; the next tick tries again", cursor=context.cursor)
        after = _Cursor(runs, max((event for event, _ in found), default=cursor.event))
        return dg.SensorResult(
            skip_reason=status_text(settings, len(evidence), run), cursor=msgspec.json.encode(after).decode()
        )

    return parity_alert_sensor


def _handed_over(instance: dg.DagsterInstance, after: int) -> Iterator[tuple[int, list[Message]]]:
    """(storage id, messages) of what runs have reported since the event `after`, oldest first."""
    of_alerts = dg.AssetRecordsFilter(dg.AssetKey(EXECUTOR_ALERTS), after_storage_id=max(0, after - _OVERLAP_IDS))
    cursor: str | None = None
    while True:
        page = instance.fetch_observations(of_alerts, limit=_PAGE, cursor=cursor, ascending=True)
        for record in page.records:
            observed = record.asset_observation
            value = None if observed is None else observed.metadata.get(MESSAGES)
            yield record.storage_id, [] if value is None else decode_messages(str(value.value))
        if not page.has_more:
            return
        cursor = page.cursor


def _read_cursor(text: str | None) -> _Cursor:
    """The cursor; an empty one if there is none or it is not understood. The outbox knows what was recorded."""
    try:
        return msgspec.json.decode(text or "", type=_Cursor)
    except msgspec.DecodeError:
        return _Cursor()
