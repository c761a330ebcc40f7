"""Which message is due: when a state begins, when it worsens, again while it lasts, and when it ends.

Pure: time is an argument. What is silent because another check names the cause is decided here as well. Clocks step:
a recorded time that lies in the future says nothing, so it silences nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from pipeline_v6_dagster.alerts.message import (
    CLOCK_TOLERANCE_S,
    MAX_ORDERS,
    RANK,
    AcknowledgedBy,
    AlertOrder,
    Kind,
    Links,
    Message,
    Severity,
    alert_id,
    is_silenced,
    utc,
)

# Too little evidence to judge yet is no event; a verdict that is not FAIL because of it is none either.
_QUIET = frozenset({("warmup", Severity.WARN), ("verdict", Severity.WARN)})
_UNMEASURED_EXPLAINED_BY = frozenset({"warmup", "coverage"})
# Ids that a state remembers as announced. The window of a summary holds no more upsizes than that.
_MAX_ANNOUNCED = 1000
# An incident whose newest order is older than this is history: one warning, no repeats.
_HISTORY_S = 86_400.0
# Further failing orders are gathered, unless what they add up to has grown by this factor since the last message.
_ESCAPE_FACTOR = 2.0
_NO_LINKS = Links()
_NOBODY: Mapping[str, AcknowledgedBy] = {}

# Seconds for which further upsizes are gathered into one message: about a third of a compare interval, so that a burst
# is one message and the next compare is another.
ALERT_GROUP_S = 300.0
# Where an executor of a fleet sends its messages: to the fleet, which groups them and has the channels of people.
FLEET_CHANNEL = "fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One evaluation of a check, or the end of a run. `severity` is None where all is well.

    `failing_ids` are ids that are news each by itself, the newest first. `orders` are what `failing_ids` name, as far
    as it is known; `excess_usd` is their total, `newest_order_ts` the time
    of the newest order that was judged. `is_once`: something that is over, such as a run that a person
    launched.
    """

    subject: str
    name: str
    id: str
    ts: float
    run_id: str
    severity: Severity | None
    text: str
    link: str
    todo: str = ""
    links: Links = _NO_LINKS
    count: int | None = None
    failing_ids: tuple[str, ...] = ()
    orders: tuple[AlertOrder, ...] = ()
    excess_usd: float | None = None
    newest_order_ts: float | None = None
    is_measured: bool = True
    is_once: bool = False
    is_quiet: bool = False
    explained_by: frozenset[str] = frozenset()
    acknowledged: AcknowledgedBy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a lasting state is repeated (s), how long more failing orders are gathered (s), to whom, and from where."""

    repeat_s: float
    group_s: float
    channels: tuple[str, ...]
    host: str | None = None
    executor: str | None = None


def worth_announcing(of_one_run: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of one run without what another part of it explains better."""
    failing = {each.name for each in of_one_run if each.severity is not None}
    return [each for each in of_one_run if each.severity is None or not _is_silent(each, failing)]


def _is_silent(evidence: Evidence, failing: set[str]) -> bool:
    if evidence.is_quiet or (evidence.name, evidence.severity) in _QUIET or evidence.explained_by & failing:
        return True
    return not evidence.is_measured and bool((_UNMEASURED_EXPLAINED_BY - {evidence.name}) & failing)


def message_for(evidence: Evidence, last: Message | None, policy: Policy, now: float) -> Message | None:
    """The message that this evidence makes due at `now` (epoch s), after the `last` one about its subject."""
    is_open = last is not None and last.is_open
    if evidence.severity is None:
        return _message(Kind.ENDS, evidence, last, policy, now) if is_open else None
    if evidence.is_once:
        return None if is_open else _message(Kind.ONCE, evidence, None, policy, now)
    evidence = _with_age(evidence, now)
    if last is None or not is_open:
        return _message(Kind.BEGINS, evidence, None, policy, now)
    assert evidence.severity is not None  # noqa: S101 -- narrowed above; `replace` loses it
    is_harder = RANK[evidence.severity] > RANK[last.severity]
    has_news = bool(set(evidence.failing_ids) - set(last.announced_ids))
    if is_harder or (has_news and _has_passed(policy.group_s, last, now)) or _has_doubled(evidence, last):
        return _message(Kind.WORSENS, evidence, last, policy, now)
    return None


def _with_age(evidence: Evidence, now: float) -> Evidence:
    """The evidence as a warning that says so, where its newest order is history."""
    newest_ts = _newest_ts(evidence)
    if newest_ts is None or not is_history(evidence, now):
        return evidence
    text = f"{evidence.text}. The newest of these orders is from {utc(newest_ts)}, more than a day ago"
    return replace(evidence, severity=Severity.WARN, text=text)


def _newest_ts(evidence: Evidence) -> float | None:
    """When the newest of the failing orders was (epoch s); where none is known, the newest that was judged."""
    return max((order.ts for order in evidence.orders), default=evidence.newest_order_ts)


def is_history(evidence: Evidence, now: float) -> bool:
    """Whether the newest of its orders is more than a day old at `now` (epoch s)."""
    return _is_old(_newest_ts(evidence), now)


def _is_old(newest_ts: float | None, now: float) -> bool:
    return newest_ts is not None and now - newest_ts > _HISTORY_S


def _has_passed(seconds: float, last: Message, now: float) -> bool:
    """Whether the last message is so long ago, or from a clock that was ahead."""
    return now - last.ts >= seconds or _is_ahead(last, now)


def _is_ahead(last: Message, now: float) -> bool:
    """Whether a clock that was wrong wrote the last message, which may then have been wrong about its age as well."""
    return last.ts - now > CLOCK_TOLERANCE_S


def _has_doubled(evidence: Evidence, last: Message) -> bool:
    excess_usd, announced_usd = evidence.excess_usd, last.excess_usd
    if excess_usd is None or announced_usd is None or announced_usd <= 0.0:
        return False
    return excess_usd >= _ESCAPE_FACTOR * announced_usd


def repeats(
    last_messages: Iterable[Message], policy: Policy, now: float, acknowledged: Mapping[str, AcknowledgedBy] = _NOBODY
) -> Iterator[Message]:
    """The states that last and were not announced for so long.

    `acknowledged` holds the acknowledgements that stand at `now` (epoch s), by the name of a check.
    """
    for last in last_messages:
        answered = acknowledged.get(last.name)
        if answered is not None and answered.until is not None and is_silenced(answered.ts, answered.until, now):
            continue
        is_repeating = not _is_old(last.last_order_ts, now) if _is_ahead(last, now) else last.is_repeating
        if last.is_open and is_repeating and _has_passed(policy.repeat_s, last, now):
            # The time makes the id one of its own, also after a clock that stepped back.
            number = int(now * 1000)
            yield msgspec.structs.replace(
                last,
                alert_id=alert_id(last.subject, last.evidence, Kind.REPEATS, last.since_ts, number),
                ts=now,
                kind=Kind.REPEATS,
                is_repeating=is_repeating,
                channels=policy.channels,
                acknowledged=answered,
            )


def _message(kind: Kind, evidence: Evidence, last: Message | None, policy: Policy, now: float) -> Message:
    since_ts = last.since_ts if last is not None else evidence.ts
    severity = evidence.severity or (last.severity if last is not None else Severity.WARN)
    announced = (*evidence.failing_ids, *(last.announced_ids if last is not None else ()))
    times = [order.ts for order in evidence.orders]
    return Message(
        alert_id=alert_id(evidence.subject, evidence.id, kind, since_ts, 0),
        ts=now,
        kind=kind,
        subject=evidence.subject,
        name=evidence.name,
        severity=severity,
        since_ts=since_ts,
        text=evidence.text,
        todo=evidence.todo,
        link=evidence.link,
        run_id=evidence.run_id,
        evidence=evidence.id,
        count=evidence.count,
        announced_ids=tuple(dict.fromkeys(announced))[:_MAX_ANNOUNCED],
        channels=policy.channels,
        orders=_largest(evidence.orders),
        first_order_ts=min(times, default=None),
        last_order_ts=max(times, default=None),
        excess_usd=evidence.excess_usd,
        excess_orders=sum(order.excess_usd is not None for order in evidence.orders),
        host=policy.host,
        executor=policy.executor,
        links=evidence.links,
        is_repeating=not is_history(evidence, now),
        acknowledged=evidence.acknowledged,
    )


def _largest(orders: Iterable[AlertOrder]) -> tuple[AlertOrder, ...]:
    """The largest by what was too much; those without a figure last, the newest of them first."""
    return tuple(sorted(orders, key=lambda order: (-(order.excess_usd or 0.0), -order.ts))[:MAX_ORDERS])
