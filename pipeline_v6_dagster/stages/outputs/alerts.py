"""The alert stage: record each message once in the outbox, send from there, record who took it.

The outbox is the authority: what waits and what lasts is read from it. A message is written before it is sent, so that
none is lost; it is sent a second time only where a kill falls between the sending and the line that says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline_v6_dagster.alerts.delivery import channels_of, send
from pipeline_v6_dagster.alerts.message import Delivery, Message
from pipeline_v6_dagster.alerts.states import ALERT_GROUP_S, Evidence, Policy
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.alert_outbox import Line, Outbox, encode_line, messages_backward, open_outbox
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.file_info import stat_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked

# A tick has a minute. A channel that is down takes up to eight seconds to say so.
_SENDING_S = 30.0


@dataclass
class AlertRun:
    """What one run did. `waiting` counts the messages that a channel has not taken, by channel."""

    recorded: list[Message] = field(default_factory=list)
    delivered: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


class AlertDesk:
    """Keeps what the outbox adds up to between runs, so that it is read again only when it has changed."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._version: str | None = None
        self._outbox = Outbox()

    def run(self, runs: Sequence[Sequence[Evidence]]) -> AlertRun:
        """Record what the evidence of these runs (oldest first) makes due, then send what waits.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        settings = self._settings
        channels = channels_of(settings.alert_urls)
        policy = Policy(settings.alert_repeat_s, ALERT_GROUP_S, tuple(channels))
        run = AlertRun()
        with locked(settings.alert_outbox):
            log = open_outbox(settings, key=read_chain_key(settings.chain_key_file))
            log.recover()
            outbox = self._read(log)
            # Until this run has come to its end, what is kept of the outbox may be behind what was written.
            self._version = None
            run.recorded = outbox.due(runs, policy, self._clock())
            _append(log, run.recorded)
            for message in run.recorded:
                outbox.add(message)
            self._send(log, outbox, channels, run)
            self._version = _version(log)
        return run

    def _send(self, log: JsonlLog, outbox: Outbox, channels: dict[str, str], run: AlertRun) -> None:
        deadline = self._clock() + _SENDING_S
        waiting: list[tuple[Message, str]] = []
        down: set[str] = set()
        for message, channel in outbox.waiting:
            url = channels.get(channel)
            # Later messages wait as well: they arrive in the order in which things happened.
            if url is None or channel in down or self._clock() > deadline or not send(url, message):
                down.add(channel)
                waiting.append((message, channel))
                run.waiting[channel] = run.waiting.get(channel, 0) + 1
                continue
            _append(log, [Delivery(message.alert_id, self._clock(), channel)])
            run.delivered += 1
        outbox.waiting = waiting

    def _read(self, log: JsonlLog) -> Outbox:
        if self._version is None or _version(log) != self._version:
            self._outbox = Outbox.of(messages_backward(log))
        return self._outbox


def _append(log: JsonlLog, lines: Sequence[Line]) -> None:
    log.append([encode_line(line) for line in lines])


def _version(log: JsonlLog) -> str:
    look = stat_file(log.path)
    return look.version if look is not None else "-"
