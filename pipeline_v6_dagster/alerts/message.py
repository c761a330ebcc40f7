"""One message, as the outbox keeps it and as people read it. Times are epoch seconds."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

_ID_CHARS = 16


class Kind(StrEnum):
    """What a message tells of a state."""

    BEGINS = "begins"
    WORSENS = "worsens"
    REPEATS = "repeats"
    ENDS = "ends"


class Severity(StrEnum):
    """How bad it is; the order is that of the ranks below."""

    WARN = "WARN"
    ERROR = "ERROR"


RANK = {Severity.WARN: 1, Severity.ERROR: 2}


class Message(msgspec.Struct, frozen=True, tag="message", tag_field="type"):
    """A message that is sent once to each of `channels`.

    `subject` is what failed: `asset/check`, or `run/job`. `since_ts` is when its state began. `told` are the ids of
    the orders that the messages of this state have told so far; `evidence` names the evaluation or the run.
    """

    alert_id: str
    ts: float
    kind: Kind
    subject: str
    name: str
    severity: Severity
    since_ts: float
    text: str
    todo: str
    link: str
    run_id: str
    evidence: str
    count: int | None
    told: tuple[str, ...]
    channels: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether the state lasts."""
        return self.kind is not Kind.ENDS


class Delivery(msgspec.Struct, frozen=True, tag="delivery", tag_field="type"):
    """That a channel took a message."""

    alert_id: str
    ts: float
    channel: str


def alert_id(subject: str, evidence: str, kind: Kind, since_ts: float, number: int) -> str:
    """The same message has the same id, however often a tick is tried again. `number` counts the repeats."""
    named = f"{subject}|{evidence}|{kind}|{since_ts!r}|{number}"
    return hashlib.sha256(named.encode()).hexdigest()[:_ID_CHARS]


def title_of(message: Message) -> str:
    """The line that a phone shows."""
    if message.kind is Kind.ENDS:
        return f"pipeline v6: over: {message.subject}"
    again = {Kind.BEGINS: "", Kind.WORSENS: " (more)", Kind.REPEATS: " (still)"}[message.kind]
    return f"pipeline v6: {message.severity}: {message.subject}{again}"


def body_of(message: Message) -> str:
    """What happened, which orders, how much, since when, what to do."""
    since = f"{utc(message.since_ts)}, for {span(message.ts - message.since_ts)}"
    if message.kind is Kind.ENDS:
        return f"What: it passes again: {message.text}\nIt had failed since: {since}\nRun: {message.run_id}"
    return f"What: {message.text}\nSince: {since}\nDo: {message.todo}\nRead on: {message.link}\nRun: {message.run_id}"


def utc(ts: float) -> str:
    """A time as people read it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: float) -> str:
    """A span as people read it."""
    minutes = max(0, int(seconds // 60))
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
