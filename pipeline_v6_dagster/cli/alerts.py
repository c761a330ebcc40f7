"""`pipeline-v6 alerts`."""

import socket
from collections.abc import Iterator

import click
import msgspec

from pipeline_v6_dagster.alerts.message import acknowledgement_text
from pipeline_v6_dagster.cli.progress import working
from pipeline_v6_dagster.cli.surroundings import (
    answer,
    clock,
    fleet_of_environment,
    json_option,
    settings_of_alerts,
    utc,
)
from pipeline_v6_dagster.stages.outputs.alert_list import (
    MAX_SENT,
    AlertList,
    ChannelTest,
    StandingAlert,
    WaitingMessages,
    list_alerts,
    send_test,
)

EXIT_REFUSED = 1
# The log of the fleet holds no alert of an executor before a run in Dagster has gathered it.
_NONE_GATHERED = (
    "no gathered alert stands; Dagster gathers the alerts of the executors,"
    " and pipeline-v6 --executor NAME alerts lists those of one"
)


@click.command("alerts")
@click.option("--test", "is_test", is_flag=True, help="Send one test message to every channel, and report each.")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool, is_test: bool) -> None:
    """Which alerts stand, what was sent where, what waits for which channel, and who has acknowledged what.

    With a fleet these are the alerts of all executors, unless --executor names one.

    Exit code of --test: 0 if every channel accepted the message, 1 if one did not.
    """
    settings, now = settings_of_alerts(), clock()
    if is_test:
        with working("sending"):
            results = send_test(settings, now, socket.gethostname())
        answer(as_json, {"channels": msgspec.to_builtins(results)}, map(_test_line, results))
        context.exit(0 if all(result.is_accepted for result in results) else EXIT_REFUSED)
    executors = None if settings.fleet_file is None else fleet_of_environment(settings).executors
    found = list_alerts(settings, now, executors)
    answer(as_json, msgspec.to_builtins(found), _lines(found, is_of_fleet=executors is not None))


def _test_line(result: ChannelTest) -> str:
    return f"{result.channel}: {'accepted' if result.is_accepted else 'NOT accepted; check its URL and its server'}"


def _lines(found: AlertList, *, is_of_fleet: bool) -> Iterator[str]:
    if found.standing:
        yield "alerts that stand:"
    else:
        yield _NONE_GATHERED if is_of_fleet else "no alert stands"
    for alert in found.standing:
        yield from _standing_lines(alert)
    if not found.waiting:
        yield "no channel: PIPELINE_V6_ALERT_URLS is empty, so alerts stay in the alert log"
    yield from map(_channel_line, found.waiting)
    if found.sent:
        yield f"sent, newest first (at most {MAX_SENT}):"
    for sent in found.sent:
        yield f"  {utc(sent.ts)}  {sent.channel:<12} {sent.kind.value:<8} {sent.severity.value:<5} {sent.subject}"
    if found.acknowledgements:
        yield "acknowledged:"
    for record in found.acknowledgements:
        until = "" if record.until is None else f" (not repeated before {utc(record.until)})"
        yield f"  {record.criterion} by {record.by} on {utc(record.ts)}: {record.why}{until}"


def _standing_lines(alert: StandingAlert) -> Iterator[str]:
    count = "" if alert.count is None else f", {alert.count:,} row{'' if alert.count == 1 else 's'}"
    yield f"  {alert.severity.value:<5} {alert.subject} since {utc(alert.since_ts)}{count}"
    yield f"        last announced {utc(alert.announced_ts)}: {alert.text}"
    if alert.acknowledged is not None:
        yield f"        acknowledged {acknowledgement_text(alert.acknowledged)}"


def _channel_line(waiting: WaitingMessages) -> str:
    if not waiting.count:
        return f"{waiting.channel}: nothing waits"
    gone = "" if waiting.is_configured else "; this channel is not in PIPELINE_V6_ALERT_URLS any more"
    return f"{waiting.channel}: {waiting.count:,} messages wait, the oldest since {utc(waiting.oldest_ts)}{gone}"
