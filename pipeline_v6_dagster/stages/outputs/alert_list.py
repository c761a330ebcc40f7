"""The alert log as a person asks for it: which alerts stand, what was sent where, what waits; and a test message."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pipeline_v6_dagster.alerts.delivery import name_channels, send_all
from pipeline_v6_dagster.alerts.message import AcknowledgedBy, Delivery, Kind, Message, Severity, alert_id
from pipeline_v6_dagster.alerts.states import FLEET_CHANNEL
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import ConfigError, Problem
from pipeline_v6_dagster.logs.alert_outbox import Outbox, acknowledged_by, messages_backward, open_outbox
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement
from pipeline_v6_dagster.stages.outputs.acknowledge import list_acknowledgements
from pipeline_v6_dagster.stages.outputs.alerts import COMMAND_LINE, SENDING_BUDGET_S
from pipeline_v6_dagster.stages.outputs.fleet_alerts import GROUP, GROUP_CHANNEL, executor_in
from pipeline_v6_dagster.stages.outputs.links import runbook_link

# Deliveries that are listed; the log holds all.
MAX_SENT = 20
_TEST = "test"
_URLS = "PIPELINE_V6_ALERT_URLS"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlert:
    """A state that lasts, as it was last announced (`announced_ts`): what fails, how hard, since when (epoch s).

    `count` is how many rows failed then, None if they were not counted.
    """

    subject: str
    severity: Severity
    since_ts: float
    announced_ts: float
    count: int | None
    text: str
    acknowledged: AcknowledgedBy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that a channel has accepted, and when (epoch s)."""

    ts: float
    channel: str
    alert_id: str
    kind: Kind
    severity: Severity
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMessages:
    """What a channel has not accepted yet, and from when the oldest of it is (epoch s), None if nothing waits.

    A channel that is not configured any more gets nothing.
    """

    channel: str
    is_configured: bool
    count: int
    oldest_ts: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertList:
    """The alert log as of now: `standing` by severity, `sent` newest first, `waiting` by channel."""

    standing: tuple[StandingAlert, ...]
    sent: tuple[SentMessage, ...]
    waiting: tuple[WaitingMessages, ...]
    acknowledgements: tuple[Acknowledgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTest:
    """Whether a channel accepted a test message."""

    channel: str
    is_accepted: bool


def list_alerts(settings: Settings, now: float, executors: Collection[str] | None = None) -> AlertList:
    """What stands, was sent and waits as of `now` (epoch s). Writes nothing.

    Of the alert log of a fleet, `executors` are those that it still has: nothing of the others stands.

    Raises:
        DataError: the alert log holds what is not ours.
        StorageError: it cannot be read.
    """
    lines = list(messages_backward(open_outbox(settings)))
    outbox = Outbox.of(lines)
    acknowledgements = list_acknowledgements(settings, now)
    standing = {record.criterion: acknowledged_by(record) for record in acknowledgements}
    return AlertList(
        standing=tuple(_standing(_of_listed(outbox.newest.values(), executors), standing)),
        sent=tuple(_sent(lines)),
        waiting=tuple(_waiting(settings, outbox)),
        acknowledgements=tuple(acknowledgements),
    )


def send_test(settings: Settings, now: float, host: str, budget_s: float = SENDING_BUDGET_S) -> list[ChannelTest]:
    """Send one test message to every channel, within `budget_s` seconds in all. Nothing is recorded or tried again.

    Raises:
        ConfigError: there is no channel.
    """
    channels = name_channels(settings.alert_urls)
    if not channels:
        raise ConfigError([Problem("environment", _URLS, "", "is empty, so there is no channel to test; set it")])
    message = Message(
        alert_id=alert_id(_TEST, _TEST, Kind.ONCE, now, 0),
        ts=now,
        kind=Kind.ONCE,
        subject=_TEST,
        name=_TEST,
        severity=Severity.WARN,
        since_ts=now,
        text="this is a test message; nothing is wrong",
        todo="Nothing. Alerts of this executor reach this channel.",
        link=runbook_link(settings, "messages"),
        run_id=COMMAND_LINE,
        evidence=_TEST,
        count=None,
        channels=tuple(channels),
        host=host,
        executor=str(settings.home),
    )
    accepted = {channel for channel, _ in send_all(channels, dict.fromkeys(channels, (message,)), budget_s)}
    return [ChannelTest(channel=channel, is_accepted=channel in accepted) for channel in channels]


def _of_listed(messages: Iterable[Message], executors: Collection[str] | None) -> Iterator[Message]:
    """The messages without those of executors that were taken out of the fleet."""
    for message in messages:
        name = None if executors is None else executor_in(message.subject)
        if executors is None or name is None or name in executors:
            yield message


def _standing(newest: Iterable[Message], acknowledged: dict[str, AcknowledgedBy]) -> list[StandingAlert]:
    found = [
        StandingAlert(
            subject=message.subject,
            severity=message.severity,
            since_ts=message.since_ts,
            announced_ts=message.ts,
            count=message.count,
            text=message.text,
            acknowledged=acknowledged.get(message.name),
        )
        for message in newest
        if message.is_open and message.evidence != GROUP
    ]
    return sorted(found, key=lambda each: (each.severity is not Severity.ERROR, each.since_ts, each.subject))


def _sent(newest_first: list[Message | Delivery | Acknowledgement]) -> Iterator[SentMessage]:
    messages = {line.alert_id: line for line in newest_first if isinstance(line, Message)}
    deliveries = [
        line
        for line in newest_first
        if isinstance(line, Delivery) and line.alert_id in messages and line.channel != GROUP_CHANNEL
    ]
    for delivery in deliveries[:MAX_SENT]:
        message = messages[delivery.alert_id]
        yield SentMessage(
            ts=delivery.ts,
            channel=delivery.channel,
            alert_id=message.alert_id,
            kind=message.kind,
            severity=message.severity,
            subject=message.subject,
        )


def _waiting(settings: Settings, outbox: Outbox) -> Iterator[WaitingMessages]:
    configured = name_channels(settings.alert_urls)
    by_channel = outbox.waiting_by_channel()
    for channel in dict.fromkeys((*configured, *by_channel)):
        messages = by_channel.get(channel, [])
        yield WaitingMessages(
            channel=channel,
            is_configured=channel in configured or channel in (FLEET_CHANNEL, GROUP_CHANNEL),
            count=len(messages),
            oldest_ts=min((message.ts for message in messages), default=None),
        )
