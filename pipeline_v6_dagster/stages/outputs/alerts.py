"""The alert stage: record each message once in the outbox, deliver from there, record who accepted it.

Whoever evaluates a check records what it says (`record_alerts`): a Dagster run, or the command line. Whoever delivers
(`AlertDesk.deliver`) reads what waits. The outbox is the authority: what waits and what lasts is read from it. A
message is written before it is sent, so that none is lost; it is sent a second time only where a kill falls between the
sending and the line that says so. An evaluation that was not recorded is made up for by the next one: what is recorded
is the state, not the evaluation.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from pipeline_v6_dagster.alerts.delivery import name_channels, send_all
from pipeline_v6_dagster.alerts.message import Delivery, Message
from pipeline_v6_dagster.alerts.states import ALERT_GROUP_S, FLEET_CHANNEL, Evidence, Policy
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import BusyError
from pipeline_v6_dagster.logs.alert_outbox import Line, Outbox, encode_line, messages_backward, open_outbox
from pipeline_v6_dagster.stages.outputs.evaluation import Evaluation
from pipeline_v6_dagster.stages.outputs.links import alert_links, runbook_link
from pipeline_v6_dagster.storage.chain_key import read_chain_key
from pipeline_v6_dagster.storage.file_info import stat_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.lock import locked

# A tick has a minute; all channels together are given half of it.
SENDING_BUDGET_S = 30.0
# What a channel gets in one call; what waits beyond it is sent by the next.
_MAX_PER_CALL = 100
# In place of the id of a Dagster run.
COMMAND_LINE = "command line"


@dataclass
class AlertRun:
    """What one call did. `waiting` counts the messages that a channel has not accepted, by channel."""

    recorded: list[Message] = field(default_factory=list)
    delivered: int = 0
    waiting: dict[str, int] = field(default_factory=dict)


class AlertDesk:
    """Keeps what the outbox adds up to between calls, so that it is read again only when it has changed.

    `host` is this machine and `executor` the one whose orders are compared, as messages name them; without `executor`
    it is the one of the fleet that the settings are of, or the home folder. An executor of a fleet has one channel, the
    fleet.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float], *, host: str | None = None, executor: str | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._channels = name_channels(settings.alert_urls)
        self._policy = Policy(
            repeat_s=settings.alert_repeat_s,
            group_s=ALERT_GROUP_S,
            channels=tuple(self._channels) if settings.executor is None else (FLEET_CHANNEL,),
            host=host,
            executor=executor or settings.executor or str(settings.home),
        )
        self._version: str | None = None
        self._outbox = Outbox()

    def run(self, runs: Sequence[Sequence[Evidence]], budget_s: float = SENDING_BUDGET_S) -> AlertRun:
        """Record what the evidence of these runs (oldest first) makes due, then deliver what waits.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        recorded = self.record(runs)
        run = self.deliver(budget_s)
        run.recorded = recorded
        return run

    def record(self, runs: Sequence[Sequence[Evidence]]) -> list[Message]:
        """Record what the evidence of these runs (oldest first) makes due, and what is to be repeated.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        settings = self._settings
        is_anything_wrong = any(each.severity is not None for run in runs for each in run)
        if not is_anything_wrong and stat_file(settings.alert_outbox) is None:
            return []
        with locked(settings.alert_outbox):
            log, outbox = self._open()
            messages = outbox.due(runs, self._policy, self._clock())
            self._append(log, messages)
        return messages

    def deliver(self, budget_s: float = SENDING_BUDGET_S) -> AlertRun:
        """Send what waits, within `budget_s` seconds in all. The lock of the outbox is not held while sending.

        Where another process delivers already, nothing is sent.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        settings = self._settings
        run = AlertRun()
        if stat_file(settings.alert_outbox) is None:
            return run
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(settings.alert_outbox.with_suffix(".delivery"), 0.0))
            except BusyError:
                is_alone = False
            else:
                is_alone = True
            if is_alone:
                run.delivered = self._send(budget_s)
        with locked(settings.alert_outbox):
            _, outbox = self._open()
            run.waiting = {name: len(messages) for name, messages in outbox.waiting_by_channel().items()}
        return run

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels."""
        return tuple(self._channels)

    def waiting(self, channel: str) -> list[Message]:
        """What a channel was not given yet, oldest first.

        Raises:
            BusyError, StorageError: the outbox cannot be read.
            DataError: it holds what is not ours.
        """
        if stat_file(self._settings.alert_outbox) is None:
            return []
        with locked(self._settings.alert_outbox):
            return self.read().waiting_by_channel().get(channel, [])

    def append(self, lines: Sequence[Line]) -> None:
        """Append lines that this desk did not make due.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        with locked(self._settings.alert_outbox):
            self.append_locked(lines)

    def read(self) -> Outbox:
        """What the outbox adds up to. The caller holds its lock."""
        return self._open()[1]

    def append_locked(self, lines: Sequence[Line]) -> None:
        """The same as `append`, for a caller that holds the lock."""
        self._append(self._open()[0], lines)

    def _send(self, budget_s: float) -> int:
        """Send what waits; returns how many messages were accepted."""
        settings = self._settings
        delivered = 0
        with locked(settings.alert_outbox):
            _, outbox = self._open()
            waiting = {name: all_[:_MAX_PER_CALL] for name, all_ in outbox.waiting_by_channel().items()}
        for channel, alert_id in send_all(self._channels, waiting, budget_s):
            with locked(settings.alert_outbox):
                log, _ = self._open()
                self._append(log, [Delivery(alert_id, self._clock(), channel)])
            delivered += 1
        return delivered

    def _open(self) -> tuple[JsonlLog, Outbox]:
        """The outbox, read again where it has changed. The caller holds its lock."""
        log = open_outbox(self._settings, key=read_chain_key(self._settings.chain_key_file))
        log.recover()
        version = _version(log)
        if self._version is None or version != self._version:
            self._outbox = Outbox.of(messages_backward(log))
            self._version = version
        return log, self._outbox

    def _append(self, log: JsonlLog, lines: Sequence[Line]) -> None:
        # Until the lines are written, what is kept of the outbox may be behind them.
        self._version = None
        log.append([encode_line(line) for line in lines])
        for line in lines:
            self._outbox.add(line)
        self._version = _version(log)


def record_alerts(
    settings: Settings,
    evaluations: Sequence[Evaluation],
    now: float,
    *,
    host: str | None = None,
    executor: str | None = None,
    run_id: str | None = None,
) -> list[Message]:
    """Record the messages that these evaluations of one run make due at `now` (epoch s), in the outbox.

    Without `run_id` the command line evaluated them. Returns what was recorded. Nothing is sent.

    Raises:
        BusyError, StorageError: the outbox cannot be written.
        DataError: it holds what is not ours.
    """
    desk = AlertDesk(settings, lambda: now, host=host, executor=executor)
    return desk.record([[build_evidence(settings, evaluation, now, run_id) for evaluation in evaluations]])


def build_evidence(settings: Settings, evaluation: Evaluation, now: float, run_id: str | None) -> Evidence:
    """What an evaluation says about its state at `now` (epoch s)."""
    name = evaluation.name
    return Evidence(
        subject=f"{evaluation.asset}/{name}",
        name=name,
        id=f"{run_id or now!r}/{name}",
        ts=now,
        run_id=run_id or COMMAND_LINE,
        severity=None if evaluation.passes else evaluation.severity,
        text=evaluation.text,
        todo=evaluation.to_do,
        link=runbook_link(settings, name),
        links=alert_links(settings, name, evaluation.asset, run_id),
        count=evaluation.count,
        failing_ids=tuple(evaluation.failing_ids),
        orders=tuple(evaluation.orders),
        excess_usd=evaluation.excess_usd,
        newest_order_ts=evaluation.newest_order_ts,
        is_measured=evaluation.is_measured,
        is_quiet=evaluation.is_quiet,
        explained_by=evaluation.explained_by,
    )


def _version(log: JsonlLog) -> str:
    found = stat_file(log.path)
    return found.version if found is not None else "-"
