"""One message, as the outbox keeps it and as people read it. Times are epoch seconds, sizes USD."""

import hashlib
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

_ID_CHARS = 16
# How the command line is called where it is in the PATH.
PROGRAM = "pipeline-v6"
# Between the names of several executors.
_AND = ", "
# A message names so many orders; the check's table and the log hold more.
MAX_ORDERS = 5
# Two processes of one host never differ by more; a time further ahead was written by a clock that was wrong.
CLOCK_TOLERANCE_S = 60.0


class Kind(StrEnum):
    """What a message says about a state. ONCE is about something that is over when it is said: a failed run."""

    BEGINS = "begins"
    WORSENS = "worsens"
    REPEATS = "repeats"
    ENDS = "ends"
    ONCE = "once"


class Severity(StrEnum):
    """How bad it is; the order is that of the ranks below."""

    WARN = "WARN"
    ERROR = "ERROR"


RANK = {Severity.WARN: 1, Severity.ERROR: 2}


class AlertOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a message names. `ratio` is live over v6, `excess_usd` their difference; None is not measured."""

    ts: float
    symbol: str | None = None
    side: str | None = None
    decision_id: str | None = None
    intent_id: str | None = None
    ratio: float | None = None
    excess_usd: float | None = None


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on: pages of the Dagster UI, None where its address is not set, and the runbook entry."""

    check: str | None = None
    run: str | None = None
    runbook: str | None = None


def is_silenced(acknowledged_ts: float, until: float | None, now: float) -> bool:
    """Whether an acknowledgement that was made then stands at `now` (epoch s).

    One from the future was made by a clock that was wrong, and so is its end: it silences nothing.
    """
    return acknowledged_ts - now <= CLOCK_TOLERANCE_S and (until is None or now < until)


class AcknowledgedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who has taken care of a state, when (`ts`), and why. Its alert is not repeated before `until`."""

    ts: float
    by: str
    why: str
    until: float | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, tag="message", tag_field="type"):
    """A message that is sent once to each of `channels`.

    `subject` is what failed: `asset/check`, or `run/job`. `since_ts` is when its state was first noticed.
    `announced_ids` are the ids of the orders that the messages about this state have named so far; `evidence` names the
    evaluation or the run. `excess_usd` is the total over `excess_orders` of the failing orders. A state that is not
    `repeating` is announced once.
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
    announced_ids: tuple[str, ...] = msgspec.field(default=(), name="told")
    channels: tuple[str, ...] = ()
    orders: tuple[AlertOrder, ...] = ()
    first_order_ts: float | None = None
    last_order_ts: float | None = None
    excess_usd: float | None = None
    excess_orders: int | None = None
    host: str | None = None
    executor: str | None = None
    links: Links = Links()
    is_repeating: bool = True
    acknowledged: AcknowledgedBy | None = None

    @property
    def is_open(self) -> bool:
        """Whether the state lasts."""
        return self.kind not in (Kind.ENDS, Kind.ONCE)


class Delivery(msgspec.Struct, frozen=True, tag="delivery", tag_field="type"):
    """A channel has accepted a message."""

    alert_id: str
    ts: float
    channel: str


def alert_id(subject: str, evidence: str, kind: Kind, since_ts: float, number: int) -> str:
    """The same for the same message, however often its recording is tried. `number` tells repeats apart."""
    named = f"{subject}|{evidence}|{kind}|{since_ts!r}|{number}"
    return hashlib.sha256(named.encode()).hexdigest()[:_ID_CHARS]


def format_title(message: Message) -> str:
    """The line that a phone shows."""
    return _title(message, message.subject)


def format_title_of_many(messages: Sequence[Message]) -> str:
    """The same for several messages of one kind."""
    return _title(messages[0], f"{len(messages)} checks")


def _title(message: Message, subject: str) -> str:
    at = f" on {message.host}" if message.host else ""
    if message.kind is Kind.ENDS:
        return f"pipeline v6: over: {subject}{at}"
    again = {Kind.WORSENS: " (more)", Kind.REPEATS: " (still)"}.get(message.kind, "")
    return f"pipeline v6: {message.severity}: {subject}{again}{at}"


def format_body(message: Message, program: str = PROGRAM) -> str:
    """What happened, when, which orders, how much, where, what to do, where to read on.

    `program` is how the command line is called on this machine.
    """
    explain = explain_command(message, program)
    since = f"{utc(message.since_ts)}, {span(message.ts - message.since_ts)} ago"
    if message.kind is Kind.ENDS:
        return "\n".join((f"What: it passes again: {message.text}", f"Failed since: {since}", *_where(message)))
    return "\n".join(
        (
            f"What: {message.text}",
            *_when(message),
            *([f"Explain: {explain}"] if explain else []),
            f"Noticed: {since}",
            *_where(message),
            *([f"Acknowledged: {acknowledgement_text(message.acknowledged)}"] if message.acknowledged else []),
            f"Do: {message.todo}",
            *_links(message),
        )
    )


def _when(message: Message) -> list[str]:
    """The time of the failing orders, what they add up to, and the largest of them."""
    lines = []
    first_ts, last_ts = message.first_order_ts, message.last_order_ts
    if first_ts is not None and last_ts is not None:
        lines.append(f"When: {utc(first_ts)}" + (f" to {utc(last_ts)}" if last_ts > first_ts else ""))
    if message.excess_usd is not None:
        lines.append(_excess(message.excess_usd, message.excess_orders, message.count))
    if message.orders:
        lines.append("Largest orders:" if len(message.orders) > 1 else "Order:")
        lines += [f"  {order_text(order)}" for order in message.orders]
    return lines


def _excess(excess_usd: float, orders: int | None, count: int | None) -> str:
    """What live placed too much; of more orders than are remembered it says of how many."""
    if orders is None or count is None or orders >= count:
        return f"Excess: {excess_usd:,.2f} USD in total"
    return f"Excess: at least {excess_usd:,.2f} USD, over {orders:,} of {count:,} orders"


def explain_command(message: Message, program: str = PROGRAM) -> str | None:
    """What shows both sides of the largest order, as a person can type it in any folder; None if no order is named.

    The executor is found by its home folder, or by its name in a fleet.
    """
    wanted = next((order.decision_id or order.intent_id for order in message.orders), None)
    if wanted is None:
        return None
    executor = message.executor
    command = shlex.quote(program)
    if executor is not None and executor.startswith("/"):
        command = f"PIPELINE_V6_HOME={shlex.quote(executor)} {command}"
    elif executor is not None and _AND not in executor:  # Of several executors nobody knows whose order it is.
        command = f"{command} --executor {shlex.quote(executor)}"
    return f"{command} explain {wanted}"


def order_text(order: AlertOrder) -> str:
    """One order in a line, with the command that explains it."""
    named = " ".join(part for part in (order.symbol, order.side, order.intent_id) if part)
    size = "" if order.ratio is None else f" x{order.ratio:.2f}"
    excess = "" if order.excess_usd is None else f", {order.excess_usd:,.2f} USD too much"
    explain = order.decision_id or order.intent_id
    return f"{utc(order.ts)} {named}{size}{excess}" + (f"; {PROGRAM} explain {explain}" if explain else "")


def acknowledgement_text(acknowledged: AcknowledgedBy) -> str:
    """Who has taken care of a state, when and why, and until when its alert is not repeated."""
    until = "" if acknowledged.until is None else f" (not repeated before {utc(acknowledged.until)})"
    return f"by {acknowledged.by} on {utc(acknowledged.ts)}: {acknowledged.why}{until}"


def _where(message: Message) -> list[str]:
    executor = [f"executor {message.executor}"] if message.executor else []
    host = [f"host {message.host}"] if message.host else []
    return [f"Where: {', '.join((*executor, *host))}"] if executor or host else []


def _links(message: Message) -> list[str]:
    links = message.links
    run = f"Run: {links.run}" if links.run else f"Run: {message.run_id}"
    return [
        *([f"Check: {links.check}"] if links.check else []),
        run,
        f"Runbook: {links.runbook or message.link}",
    ]


def utc(ts: float) -> str:
    """A time as people read it; the number itself where no calendar holds it."""
    try:
        return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{ts:.0f} s after 1970"


def span(seconds: float) -> str:
    """A duration as people read it."""
    minutes = max(0, int(seconds // 60))
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
