"""The alerts of a fleet: those of all executors in one outbox, grouped, so that one cause is one message.

A run records the alerts of its executor in the executor's own outbox and hands them over in Dagster's event log. Here
they are recorded again, beside those about failed runs, and wait for a short while. Then what one run says about an
executor is taken together, because one bad order breaks several criteria; and what the same cause leads in several
executors becomes one message. The outbox of the fleet is the authority: it knows by its id what was handed over
already, and what was not grouped yet waits in it for the channel `group`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pipeline_v6_dagster.alerts.message import MAX_ORDERS, RANK, Delivery, Message, alert_id
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
                lines += [summed_up, *(Delivery(member.alert_id, now, GROUP_CHANNEL) for member in _members(group))]
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
        named = [(executor_in(message.subject), message) for message in due]
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


def executor_in(subject: str) -> str | None:
    """The executor that a subject of the fleet names; None where it is about the whole fleet."""
    name, separator, _ = subject.partition(_SEPARATOR)
    return name if separator else None


# What one run of an executor says: the hardest first, and of equally hard ones the first that was recorded.
_Incident = list[Message]


def _due_groups(waiting: Iterable[Message], is_round_over: bool, now: float) -> list[list[_Incident]]:
    """The incidents that the same cause leads, oldest first, once they have waited long enough for others."""
    incidents: dict[tuple[Any, ...], _Incident] = {}
    for message in waiting:
        incidents.setdefault((message.executor, message.kind, message.run_id), []).append(message)
    groups: dict[tuple[Any, ...], list[_Incident]] = {}
    for incident in incidents.values():
        incident.sort(key=lambda member: -RANK[member.severity])
        groups.setdefault((_cause(incident[0]), incident[0].kind, incident[0].severity), []).append(incident)
    return [group for group in groups.values() if _is_due(_members(group), is_round_over, now)]


def _members(group: Iterable[_Incident]) -> list[Message]:
    return [member for incident in group for member in incident]


def _cause(message: Message) -> str:
    """The subject without the executor."""
    return message.subject.rpartition(_SEPARATOR)[2]


def _is_due(members: Sequence[Message], is_round_over: bool, now: float) -> bool:
    times = [member.ts for member in members]
    oldest_s, newest_s = now - min(times), now - max(times)
    if newest_s < 0:  # Recorded by a clock that was ahead.
        return True
    return (is_round_over and newest_s >= QUIET_S) or oldest_s >= LONGEST_WAIT_S


def _sum_up(group: Sequence[_Incident], channels: Sequence[str], now: float) -> Message:
    """One message for what several executors say. Figures are those of the cause that leads."""
    leads = [incident[0] for incident in group]
    first, cause = leads[0], _cause(leads[0])
    names = list(dict.fromkeys(lead.executor for lead in leads if lead.executor is not None))
    orders = sorted((order for lead in leads for order in lead.orders), key=lambda each: -(each.excess_usd or 0.0))
    excesses = [lead.excess_usd for lead in leads if lead.excess_usd is not None]
    counts = [lead.count for lead in leads if lead.count is not None]
    firsts = [lead.first_order_ts for lead in leads if lead.first_order_ts is not None]
    lasts = [lead.last_order_ts for lead in leads if lead.last_order_ts is not None]
    hosts = dict.fromkeys(lead.host for lead in leads if lead.host)
    of = "" if not names else f" of {names[0]}" if len(names) == 1 else f" of {len(names)} executors"
    ids = tuple(member.alert_id for member in _members(group))
    return msgspec.structs.replace(
        first,
        alert_id=alert_id(cause, "|".join(sorted(ids)), first.kind, first.since_ts, len(ids)),
        ts=now,
        subject=f"{cause}{of}",
        since_ts=min(lead.since_ts for lead in leads),
        text=_text(group),
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


def _text(group: Sequence[_Incident]) -> str:
    # Of an executor that says it again only the newest counts.
    by_executor = {incident[0].executor: incident for incident in group}
    if len(by_executor) == 1:
        (incident,) = by_executor.values()
        return "; ".join([incident[0].text, *(f"{_cause(other)}: {other.text}" for other in incident[1:])])
    texts = [f"{name or 'the fleet'}: {_shorten(incident)}" for name, incident in by_executor.items()]
    rest = len(texts) - _MOST_TEXTS
    more = f"; and {rest} more executors say the same" if rest > 0 else ""
    return f"{len(texts)} executors: {'; '.join(texts[:_MOST_TEXTS])}{more}"


def _shorten(incident: _Incident) -> str:
    others = ", ".join(_cause(other) for other in incident[1:])
    return incident[0].text[:_LONGEST_TEXT] + (f" (also {others})" if others else "")


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
