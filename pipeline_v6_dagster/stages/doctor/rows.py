"""What the newest rows carry: without an id, a price or a NAV, a decision is denied or compared less well."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.formatting import format_percent
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.storage.file_info import last_lines

# Of each log: some thousands of rows.
_TAIL_BYTES = 4_000_000
_CLOSES = frozenset({"order_close", "position_close"})


class _RawRow(msgspec.Struct, kw_only=True):
    event_type: Any = None
    ts: Any = None
    local_ts: Any = None
    reduceOnly: Any = None
    reduce_only: Any = None


_decoder = msgspec.json.Decoder(_RawRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShare:
    """How many of the newest rows of a log carry something, and what is lost in the others.

    `is_blocking`: without it in any row, every order is denied. `is_assumption`: a rule works on an assumption then.
    """

    log: str
    what: str
    count: int
    total: int
    lost: str
    is_blocking: bool = False
    is_assumption: bool = False

    @property
    def ratio(self) -> float | None:
        """The share of the rows; None if there are none."""
        return self.count / self.total if self.total else None

    def __str__(self) -> str:
        missing = self.total - self.count
        return f"{self.log}: {missing:,} of the newest {self.total:,} {self.what}: {self.lost}"


def row_shares(settings: Settings) -> tuple[RowShare, ...]:
    """What the newest rows of the attempts and the orders carry.

    Raises:
        StorageError: a log cannot be read.
    """
    return (*_of_attempts(settings), *_of_orders(settings), *_of_times(settings))


def row_lines(shares: tuple[RowShare, ...]) -> Iterator[tuple[str, str, str]]:
    """(log, what, share) of each, for a table."""
    for share in shares:
        name = share.what.partition(" without ")[2] or share.what
        yield share.log, f"with {name}", f"{format_percent(share.ratio)} of {share.total:,}"


def _of_attempts(settings: Settings) -> Iterator[RowShare]:
    # What another producer decides from is not ours to judge, but for the ids, which pair.
    is_internal = settings.shadow_source is ShadowSource.INTERNAL
    name = settings.order_attempts.name
    parsed = map(parse_attempt, last_lines(settings.order_attempts, _TAIL_BYTES))
    attempts = [attempt for attempt in parsed if isinstance(attempt, Attempt)]
    has: Counter[str] = Counter()
    for attempt in attempts:
        has["id"] += attempt.intent_id is not None or attempt.attempt_id is not None
        has["price"] += attempt.price is not None
        has["leverage"] += attempt.leverage is not None
        has["nav"] += attempt.nav is not None and attempt.nav.nav_usd is not None
        has["free_balance"] += attempt.nav is not None and attempt.nav.free_balance_usd is not None
        has["nav_time"] += attempt.nav is None or attempt.nav.age_s is not None
    ids = "each is paired with an order by time alone"
    yield RowShare(log=name, what="attempts without an id", count=has["id"], total=len(attempts), lost=ids)
    if not is_internal:
        return
    for key, what, lost in (
        ("price", "attempts without a price", "v6 denies each as invalid_intent"),
        ("nav", "attempts without a NAV", "v6 denies each as nav_stale"),
    ):
        yield RowShare(log=name, what=what, count=has[key], total=len(attempts), lost=lost, is_blocking=True)
    for key, what, lost in (
        ("leverage", "attempts without leverage", "v6 assumes the target_leverage of the universe"),
        ("nav_time", "attempts without a time of their NAV", "v6 assumes a NAV as new as its attempt, never stale"),
        (
            "free_balance",
            "attempts without a free balance",
            "v6 assumes that there is enough margin, and denies each as margin where max_margin_pct is set",
        ),
    ):
        yield RowShare(log=name, what=what, count=has[key], total=len(attempts), lost=lost, is_assumption=True)


def _of_orders(settings: Settings) -> Iterator[RowShare]:
    name = settings.orders_executed.name
    lines = last_lines(settings.orders_executed, _TAIL_BYTES)
    events = (event for event in map(parse_order_event, lines) if isinstance(event, OrderEvent))
    acks = [event for event in events if event.kind is EventKind.ACK]
    yield RowShare(
        log=name,
        what="acks without a requested quantity",
        count=sum(ack.requested_qty is not None for ack in acks),
        total=len(acks),
        lost="an order that was not filled has no size to compare",
    )
    if last_lines(settings.position_state, _TAIL_BYTES):
        return
    closes = [row for row in _decoded(lines) if row.event_type in _CLOSES]
    yield RowShare(
        log=name,
        what="closes without a reduce-only flag",
        count=sum(row.reduceOnly is not None or row.reduce_only is not None for row in closes),
        total=len(closes),
        lost=f"with no rows in {settings.position_state.name} either, positions follow from fills alone",
    )


def _of_times(settings: Settings) -> Iterator[RowShare]:
    for path in (settings.order_attempts, settings.orders_executed, settings.risk_vetoes):
        rows = list(_decoded(last_lines(path, _TAIL_BYTES)))
        yield RowShare(
            log=path.name,
            what="rows without a time zone",
            count=sum(not (_has_no_zone(row.ts) or _has_no_zone(row.local_ts)) for row in rows),
            total=len(rows),
            lost="nobody can tell when each was logged, so that its time is not used",
        )


def _decoded(lines: list[bytes]) -> Iterator[_RawRow]:
    for line in lines:
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # Counted where the log is read.


def _has_no_zone(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False
