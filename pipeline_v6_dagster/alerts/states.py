"""Which message is due: a state is told when it begins, when it worsens, again while it lasts, and when it ends.

Pure: time is an argument. What is silent because another check tells the cause is decided here as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline_v6_dagster.alerts.guidance import GUIDANCE
from pipeline_v6_dagster.alerts.message import RANK, Kind, Message, Severity, alert_id

# The effects of a cause are not told beside it: the same orders in other words.
_TOLD_BY = {
    "sizing_p95": frozenset({"no_upsizes"}),
    "verdict": frozenset(
        {"warmup", "no_upsizes", "sizing_p95", "veto_mismatch", "coverage", "input_quality", "log_integrity"}
    ),
}
# That there is too little to judge yet is no event; that nothing can be measured meanwhile is neither.
_QUIET = frozenset({("warmup", Severity.WARN), ("verdict", Severity.WARN)})
_UNMEASURED_TOLD_BY = frozenset({"warmup", "coverage"})
# Ids that a state remembers to have told. The window of a summary holds no more upsizes than that.
_MAX_TOLD = 1000

# Seconds for which further upsizes are gathered into one message: about a third of a compare interval, so that a burst
# is one message and the next compare is another.
ALERT_GROUP_S = 300.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """One evaluation of a check, or the end of a run. `severity` is None where all is well.

    `offenders` are ids that are news each by itself, the newest first.
    """

    subject: str
    name: str
    id: str
    ts: float
    run_id: str
    severity: Severity | None
    text: str
    link: str
    count: int | None = None
    offenders: tuple[str, ...] = ()
    is_measured: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """After how long a lasting state is told again, how long further offenders are gathered, and to whom."""

    repeat_s: float
    group_s: float
    channels: tuple[str, ...]


def worth_telling(of_one_run: Sequence[Evidence]) -> list[Evidence]:
    """The evidence of one run without what another part of it tells better."""
    failing = {each.name for each in of_one_run if each.severity is not None}
    return [each for each in of_one_run if each.severity is None or not _is_silent(each, failing)]


def _is_silent(evidence: Evidence, failing: set[str]) -> bool:
    if (evidence.name, evidence.severity) in _QUIET or _TOLD_BY.get(evidence.name, frozenset()) & failing:
        return True
    return not evidence.is_measured and bool((_UNMEASURED_TOLD_BY - {evidence.name}) & failing)


def message_of(evidence: Evidence, last: Message | None, policy: Policy, now: float) -> Message | None:
    """The message that this evidence makes due, after the `last` one of its subject."""
    is_open = last is not None and last.is_open
    if evidence.severity is None:
        return _message(Kind.ENDS, evidence, last, policy, now) if is_open else None
    if last is None or not is_open:
        return _message(Kind.BEGINS, evidence, None, policy, now)
    is_harder = RANK[evidence.severity] > RANK[last.severity]
    has_news = bool(set(evidence.offenders) - set(last.told)) and now - last.ts >= policy.group_s
    if is_harder or has_news:
        return _message(Kind.WORSENS, evidence, last, policy, now)
    return None


def repeats(open_messages: Mapping[str, Message], policy: Policy, now: float) -> Iterator[Message]:
    """The states that last and were not told for so long."""
    for last in open_messages.values():
        if last.is_open and now - last.ts >= policy.repeat_s:
            number = int((now - last.since_ts) // policy.repeat_s)
            yield _again(last, Kind.REPEATS, policy, now, number)


def _again(last: Message, kind: Kind, policy: Policy, now: float, number: int) -> Message:
    """The same state, told again."""
    return Message(
        alert_id=alert_id(last.subject, last.evidence, kind, last.since_ts, number),
        ts=now,
        kind=kind,
        subject=last.subject,
        name=last.name,
        severity=last.severity,
        since_ts=last.since_ts,
        text=last.text,
        todo=last.todo,
        link=last.link,
        run_id=last.run_id,
        evidence=last.evidence,
        count=last.count,
        told=last.told,
        channels=policy.channels,
    )


def _message(kind: Kind, evidence: Evidence, last: Message | None, policy: Policy, now: float) -> Message:
    since_ts = last.since_ts if last is not None else evidence.ts
    severity = evidence.severity or (last.severity if last is not None else Severity.WARN)
    told = (*evidence.offenders, *(last.told if last is not None else ()))
    return Message(
        alert_id=alert_id(evidence.subject, evidence.id, kind, since_ts, 0),
        ts=now,
        kind=kind,
        subject=evidence.subject,
        name=evidence.name,
        severity=severity,
        since_ts=since_ts,
        text=evidence.text,
        todo=GUIDANCE[evidence.name].todo,
        link=evidence.link,
        run_id=evidence.run_id,
        evidence=evidence.id,
        count=evidence.count,
        told=tuple(dict.fromkeys(told))[:_MAX_TOLD],
        channels=policy.channels,
    )
