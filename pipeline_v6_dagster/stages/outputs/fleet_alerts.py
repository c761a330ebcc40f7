"""The alerts of a fleet: those of all executors in one outbox, grouped, so that one cause is one message.

A run records the alerts of its executor in the executor's own outbox and hands them over in Dagster's event log. Here
they are recorded again, beside those about failed runs, and wait for a short while. Then those that say the same of
several executors become one message. The outbox of the fleet is the authority: it knows by its id what was handed over
already, and what was not grouped yet waits in it for the channel `group`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pipeline_v6_dagster.alerts.message import MAX_ORDERS, Delivery, Message, alert_id
from pipeline_v6_dagster.alerts.states import ALERT_GROUP_S, FLEET_CHANNEL, Evidence, Policy
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.logs.alert_outbox import Line, Outbox
from pipeline_v6_dagster.stages.outputs.alerts import SENDING_BUDGET_S, AlertDesk, AlertRun
from pipeline_v6_dagster.storage.lock import locked

GROUP_CHANNEL = "group"
# The runs of a round end within seconds of each other. While some of them are in flight, others may say the same.
QUIET_S = 10.0
# A big fleet always has a run in flight. An operator hears of a failure at the latest after this.
LONGEST_WAIT_S = 120.0
# What marks a message that sums up others, whose ids it holds as announced.
GROUP = "group of a fleet"
_MOST_TEXTS = 5
_MOST_NAMES = 20
_LONGEST_TEXT = 300
_SEPARATOR = ": "


def subject_of_executor(executor: str | None, subject: str) -> str:
    """The subject as the outbox of the fleet holds it: each executor has states of its own."""
    return subject if executor is None else f"{executor}{_SEPARATOR}{subject}"


def encode_messages(messages: Sequence[Message]) -> str:
    """Messages as a run hands them over."""
    return msgspec.json.encode(messages).decode()


def decode_messages(text: str) -> list[Message]:
    """The messages; none where they are not understood, as those of another version may be."""
    try:
        return msgspec.json.decode(text, type=list[Message])
    except msgspec.DecodeError:
        return []


class HandOver:
    """What an executor's outbox holds for the fleet.

    A run reports `waiting()` and then records that it was taken. One that is killed in between reports it again, and
    the fleet knows it by its id.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._desk = AlertDesk(settings, clock)
        self._clock = clock

    def waiting(self) -> list[Message]:
        """The messages that the fleet was not given yet, oldest first.

        Raises:
            BusyError, StorageError: the outbox cannot be read.
            DataError: it holds what is not ours.
        """
        return self._desk.waiting(FLEET_CHANNEL)

    def record_taken(self, messages: Sequence[Message]) -> None:
        """Record that the fleet has these messages.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
        """
        now = self._clock()
        self._desk.append([Delivery(message.alert_id, now, FLEET_CHANNEL) for message in messages])


class FleetAlertDesk:
    """Records what the executors handed over, groups it, and delivers. `host` is this machine, as messages name it."""

    def __init__(self, base: Settings, clock: Callable[[], float], *, host: str | None = None) -> None:
        self._base, self._clock = base, clock
        self._desk = AlertDesk(base, clock, host=host)
        self._policy = Policy(
            repeat_s=base.alert_repeat_s, group_s=ALERT_GROUP_S, channels=(GROUP_CHANNEL,), host=host, executor=None
        )

    def run(
        self,
        handed_over: Iterable[Message],
        ended_runs: Sequence[Evidence],
        executors: Iterable[str],
        *,
        is_round_over: bool,
        budget_s: float = SENDING_BUDGET_S,
    ) -> AlertRun:
        """Record, group what has waited long enough, and send what waits within `budget_s` seconds in all.

        `executors` are those of the fleet file; others say nothing any more. `is_round_over`: no run is in flight.

        Raises:
            BusyError, StorageError: the outbox cannot be written.
            DataError: it holds what is not ours.
        """
        listed = frozenset(executors)
        with locked(self._base.alert_outbox):
            now, outbox = self._clock(), self._desk.read()
            members = [*_new_members(handed_over, outbox, listed, now)]
            members += self._about_runs(ended_runs, outbox, listed, now)
            waiting = [*outbox.waiting_by_channel().get(GROUP_CHANNEL, []), *members]
            lines: list[Line] = [*members]
            recorded = []
            for group in _due_groups(waiting, is_round_over, now):
                summed_up = _sum_up(group, self._desk.channels, now)
                recorded.append(summed_up)
                lines += [summed_up, *(Delivery(member.alert_id, now, GROUP_CHANNEL) for member in group)]
            if lines:
                self._desk.append_locked(lines)
        run = self._desk.deliver(budget_s)
        run.recorded = recorded
        run.waiting.pop(GROUP_CHANNEL, None)
        return run

    def _about_runs(
        self, ended_runs: Sequence[Evidence], outbox: Outbox, listed: frozenset[str], now: float
    ) -> list[Message]:
        """What failed runs make due, and runs that work again; each names its executor."""
        due = outbox.due([[each] for each in ended_runs], self._policy, now)
        named = [(_executor_in(message.subject), message) for message in due]
        return [
            msgspec.structs.replace(message, executor=name) for name, message in named if name is None or name in listed
        ]


def _new_members(
    handed_over: Iterable[Message], outbox: Outbox, listed: frozenset[str], now: float
) -> Iterable[Message]:
    """The messages that are not known yet, each once. Their executor repeats them, so the fleet does not."""
    known = set(outbox.ids)
    for message in handed_over:
        # Two executors may have evaluated the same check at the same instant.
        own_id = f"{message.executor}.{message.alert_id}"
        if own_id not in known and message.executor in listed:
            known.add(own_id)
            yield msgspec.structs.replace(
                message,
                alert_id=own_id,
                subject=subject_of_executor(message.executor, message.subject),
                # By the clock of this machine, on which the wait is measured.
                ts=now,
                channels=(GROUP_CHANNEL,),
                is_repeating=False,
            )


def _executor_in(subject: str) -> str | None:
    name, separator, _ = subject.partition(_SEPARATOR)
    return name if separator else None


def _due_groups(waiting: Iterable[Message], is_round_over: bool, now: float) -> list[list[Message]]:
    """What says the same, oldest first, and has waited long enough for others to say it as well."""
    groups: dict[tuple[Any, ...], list[Message]] = {}
    for message in waiting:
        cause = message.subject.rpartition(_SEPARATOR)[2]
        groups.setdefault((cause, message.kind, message.severity), []).append(message)
    return [group for group in groups.values() if _is_due(group, is_round_over, now)]


def _is_due(group: Sequence[Message], is_round_over: bool, now: float) -> bool:
    oldest_s, newest_s = now - group[0].ts, now - group[-1].ts
    if oldest_s < 0:  # Recorded by a clock that was ahead.
        return True
    return (is_round_over and newest_s >= QUIET_S) or oldest_s >= LONGEST_WAIT_S


def _sum_up(group: Sequence[Message], channels: Sequence[str], now: float) -> Message:
    """One message for what several executors say."""
    first = group[0]
    by_executor = {member.executor: member for member in group}
    cause = first.subject.rpartition(_SEPARATOR)[2]
    names = [name for name in by_executor if name is not None]
    orders = sorted((order for member in group for order in member.orders), key=lambda each: -(each.excess_usd or 0.0))
    excesses = [member.excess_usd for member in group if member.excess_usd is not None]
    counts = [member.count for member in group if member.count is not None]
    firsts = [member.first_order_ts for member in group if member.first_order_ts is not None]
    lasts = [member.last_order_ts for member in group if member.last_order_ts is not None]
    hosts = dict.fromkeys(member.host for member in group if member.host)
    of = "" if not names else f" of {names[0]}" if len(names) == 1 else f" of {len(names)} executors"
    ids = tuple(member.alert_id for member in group)
    return msgspec.structs.replace(
        first,
        alert_id=alert_id(cause, "|".join(sorted(ids)), first.kind, first.since_ts, len(ids)),
        ts=now,
        subject=f"{cause}{of}",
        since_ts=min(member.since_ts for member in group),
        text=_text(by_executor),
        evidence=GROUP,
        count=sum(counts) if counts else None,
        announced_ids=ids,
        channels=tuple(channels),
        orders=tuple(orders[:MAX_ORDERS]),
        first_order_ts=min(firsts, default=None),
        last_order_ts=max(lasts, default=None),
        excess_usd=sum(excesses) if excesses else None,
        host=_listed(list(hosts)) or None,
        executor=_listed(names) or None,
        is_repeating=False,
    )


def _text(by_executor: dict[str | None, Message]) -> str:
    if len(by_executor) == 1:
        return next(iter(by_executor.values())).text
    texts = [f"{name or 'the fleet'}: {member.text[:_LONGEST_TEXT]}" for name, member in by_executor.items()]
    rest = len(texts) - _MOST_TEXTS
    more = f"; and {rest} more executors say the same" if rest > 0 else ""
    return f"{len(texts)} executors: {'; '.join(texts[:_MOST_TEXTS])}{more}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
