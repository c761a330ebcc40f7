"""Limits that live applied with other values than v6 reads: what its newest vetoes say."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from pipeline_v6_dagster.config.live_limits import LimitDifference, is_ratio, live_limit_differences
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.formatting import format_number, format_percent, format_time
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent
from pipeline_v6_dagster.sources.decoding import epoch_s
from pipeline_v6_dagster.sources.orders import parse_order_event
from pipeline_v6_dagster.storage.file_info import last_lines

# Of each log: some four thousand rows.
_TAIL_BYTES = 4_000_000
_MOST_SYMBOLS = 4
_TRADE_RATE = "trade_rate_limit"
_HOUR_S = 3600.0


class _VetoRow(msgspec.Struct, kw_only=True):
    ts: float | str | None = None
    symbol: str | None = None
    veto_reason: str | None = None
    veto_detail: Any = None
    thresholds: Any = None


_decoder = msgspec.json.Decoder(_VetoRow)


class LiveLimit(NamedTuple):
    """A limit that live applied otherwise than the configuration says; both texts hold both numbers.

    `summary` is a clause, `detail` a line with the file, how often it was applied, to what, and when last. `vetoes` is
    how often.
    """

    summary: str
    detail: str
    vetoes: int


@dataclass
class _Seen:
    """The rows in which live applied one value. A limit that v6 does not have may have another value in each."""

    rows: int = 0
    newest_ts: float = 0.0
    live: float = 0.0
    symbols: set[str] = field(default_factory=set)


def find_live_limits(settings: Settings, limits: Limits) -> tuple[LiveLimit, ...]:
    """Each limit that the newest vetoes applied with another value than the configuration has, most vetoes first.

    Raises:
        StorageError: the vetoes log cannot be read.
    """
    seen: dict[tuple[str, float | None, float | None], _Seen] = defaultdict(_Seen)
    rows = list(_rows(settings))
    for row in rows:
        for difference in live_limit_differences(_thresholds(row), limits, row.symbol):
            one = seen[_key(difference)]
            one.rows += 1
            ts = epoch_s(row.ts) or 0.0
            if ts >= one.newest_ts:
                one.newest_ts, one.live = ts, difference.live
            one.symbols.add(row.symbol or "no symbol")
    found = [_found(settings, name, configured, one) for (name, _, configured), one in seen.items()]
    found += _trade_rates(settings, limits, rows)
    return tuple(sorted(found, key=lambda each: (-each.vetoes, each.summary)))


def _rows(settings: Settings) -> Iterator[_VetoRow]:
    for line in last_lines(settings.risk_vetoes, _TAIL_BYTES):
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # Counted where the log is compared.


def _trade_rates(settings: Settings, limits: Limits, rows: list[_VetoRow]) -> Iterator[LiveLimit]:
    """Symbols that live vetoed for their rate after fewer openings in the hour than the configured limit.

    Openings are the ones of the orders log, as v6 counts them. Where it names none, nothing was measured.
    """
    vetoed = [(row.symbol, ts) for row in rows if row.veto_reason == _TRADE_RATE and (ts := epoch_s(row.ts))]
    if not vetoed:
        return
    openings = _openings(settings)
    counts: dict[str, list[int]] = defaultdict(list)
    for symbol, ts in vetoed:
        limit = limits.of(symbol or "").max_openings_per_hour
        count = len({order for order, at in openings.get(symbol or "", ()) if ts - _HOUR_S < at <= ts})
        if limit is not None and 0 < count < limit:
            counts[symbol or ""].append(count)
    for symbol, found in sorted(counts.items()):
        least, most = min(found), max(found)
        after = f"after {least if least == most else f'{least} to {most}'} opening orders within an hour"
        configured = (
            f"the configuration says max_trades_per_symbol_per_hour = {limits.of(symbol).max_openings_per_hour}"
        )
        yield LiveLimit(
            f"live vetoed {symbol} for {_TRADE_RATE} {after}, {configured}",
            f"{settings.risk_vetoes.name}: live vetoed {symbol} {len(found)} times for {_TRADE_RATE} {after};"
            f" {configured}, so that live counts more than opening orders, or has another limit",
            len(found),
        )


def _openings(settings: Settings) -> dict[str, list[tuple[str, float]]]:
    """(intent or order, time) of every acked opening order, by symbol."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for event in map(parse_order_event, last_lines(settings.orders_executed, _TAIL_BYTES)):
        if isinstance(event, OrderEvent) and event.kind is EventKind.ACK and event.symbol and not event.is_reduce_only:
            found[event.symbol].append((event.intent_id or event.order_id, event.ts))
    return found


def _key(difference: LimitDifference) -> tuple[str, float | None, float | None]:
    # What v6 does not have at all is one line, whatever live's number was.
    name, live, configured = difference
    return name, None if configured is None else live, configured


def _found(settings: Settings, name: str, configured: float | None, seen: _Seen) -> LiveLimit:
    said = format_percent if is_ratio(name) else format_number
    symbols = sorted(seen.symbols)
    names = ", ".join(symbols[:_MOST_SYMBOLS])
    if len(symbols) > _MOST_SYMBOLS:
        names += f" and {len(symbols) - _MOST_SYMBOLS} more"
    when = f"in {seen.rows:,} vetoes of {names}, the newest at {format_time(seen.newest_ts or None)}"
    live = f"live applied {name} = {said(seen.live)}"
    if configured is None:
        return LiveLimit(
            f"{live}, v6 has no such limit",
            f"{settings.risk_vetoes.name}: {live} {when}, and nothing that v6 reads limits this: v6 allows what live"
            " vetoes there",
            seen.rows,
        )
    return LiveLimit(
        f"{live}, the configuration says {said(configured)}",
        f"{settings.risk_vetoes.name}: {live} {when}; the configuration says {said(configured)}, so that the two sides"
        " cannot agree there",
        seen.rows,
    )


def _thresholds(row: _VetoRow) -> dict[str, Any]:
    """Live writes them under `thresholds`, or straight into the detail beside what it observed."""
    detail = row.veto_detail if isinstance(row.veto_detail, dict) else {}
    nested = detail.get("thresholds")
    own = row.thresholds if isinstance(row.thresholds, dict) else {}
    flat = {name: value for name, value in detail.items() if not isinstance(value, dict)}
    return flat | own | (nested if isinstance(nested, dict) else {})
