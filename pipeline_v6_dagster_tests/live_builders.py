"""What a live executor did: decisions, events and whole homes, each new and changed as the call says.

Times of records and rows are seconds after `T0`, so that a test reads as a story.
"""

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain, repeat
from math import inf
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.compare.folding import fold_event, start_order
from pipeline_v6_dagster.compare.settled import Settled
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import (
    ComparePolicy,
    Diff,
    LiveOutcome,
    LiveSide,
    MatchMethod,
    MismatchKind,
    ShadowSide,
)
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.live import EventKind, IntentOrders, Leg, OrderEvent, OrderStatus, Veto
from pipeline_v6_dagster.stages.compare.run import CompareRun, run_compare
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import ShadowRun, run_shadow
from pipeline_v6_dagster.storage.chain import unchained

T0 = 1_762_000_000.0
SYMBOL = "BTCUSDT"
PRICE = 100.0
TOLERANCE_S = 900.0


def policy(**changes: Any) -> ComparePolicy:
    """The defaults of the settings, and a lot step of 0.001."""
    fields = {
        "tolerance_s": TOLERANCE_S,
        "upsize_tolerance_ratio": 0.001,
        "lot_steps": {SYMBOL: 0.001},
    }
    return ComparePolicy(**(fields | changes))


# Records.


def decision(at: float = 0.0, name: str | None = "1", **changes: Any) -> ShadowSide:
    """An allowed BUY of 5 at 100, sized as asked for. `name` makes its ids; None leaves it without."""
    fields = {
        "decision_id": f"d@{at:g}" if name is None else f"d{name}",
        "symbol": SYMBOL,
        "side": Side.BUY,
        "intent_id": name and f"ord_{name}",
        "attempt_id": name and f"sig_{name}",
        "as_of": T0 + at,
        "is_allowed": True,
        "reasons": (),
        "is_reduce_only": False,
        "price": PRICE,
        "quote_notional": 500.0,
        "sized_qty": 5.0,
        "sized_gross_usd": 500.0,
        "expected_slippage_bps": 1.0,
        "route": "taker",
        "config_hash": "0" * 16,
    }
    return ShadowSide(**(fields | changes))


def denied(at: float = 0.0, name: str | None = "1", **changes: Any) -> ShadowSide:
    """The same order, denied."""
    fields = {
        "is_allowed": False,
        "reasons": ("symbol_cap",),
        "sized_qty": None,
        "sized_gross_usd": None,
        "expected_slippage_bps": None,
        "route": None,
    }
    return decision(at, name, **(fields | changes))


def event(kind: EventKind, at: float = 1.0, name: str | None = "1", **changes: Any) -> OrderEvent:
    """An event of a BUY. `name` makes its ids; None leaves it without."""
    fields = {
        "kind": kind,
        "ts": T0 + at,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "intent_id": name and f"ord_{name}",
        "attempt_id": name and f"sig_{name}",
        "order_id": "1",
        "is_reduce_only": False,
        "requested_qty": None,
        "executed_qty": None,
        "avg_price": None,
        "fees_usd": None,
        "gross_usd": None,
        "status": None,
        "reason": None,
        "lot_step": None,
    }
    return OrderEvent(**(fields | changes))


def ack(at: float = 1.0, name: str | None = "1", qty: float | None = 5.0, **changes: Any) -> OrderEvent:
    """An order accepted by the exchange."""
    return event(EventKind.ACK, at, name, **({"requested_qty": qty, "status": OrderStatus.NEW} | changes))


def fill(at: float = 2.0, name: str | None = "1", qty: float | None = 5.0, **changes: Any) -> OrderEvent:
    """An order filled; with a `status` of its own, what the executor saw while it polled."""
    fields = {"executed_qty": qty, "avg_price": PRICE, "fees_usd": 0.25, "status": OrderStatus.FILLED}
    return event(EventKind.FILL, at, name, **(fields | changes))


def error(at: float = 1.0, name: str | None = "1", **changes: Any) -> OrderEvent:
    """An order that could not be sent."""
    return event(EventKind.ERROR, at, name, **({"order_id": f"error@{at}", "reason": "BinanceAPIException"} | changes))


def flat(at: float = 1.0, name: str | None = "1", gross_usd: float = 500.0, **changes: Any) -> OrderEvent:
    """A row that is an order by itself."""
    return event(EventKind.FLAT, at, name, **({"gross_usd": gross_usd, "status": OrderStatus.FILLED} | changes))


def veto(at: float = 1.0, name: str | None = "1", **changes: Any) -> Veto:
    """A live veto."""
    fields = {
        "ts": T0 + at,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "intent_id": name and f"ord_{name}",
        "attempt_id": name and f"sig_{name}",
        "reason": "bucket_cap",
    }
    return Veto(**(fields | changes))


def folded(*events: OrderEvent) -> IntentOrders:
    """The live order of its events."""
    order = start_order(events[0])
    for later in events[1:]:
        fold_event(order, later)
    return order


def settled(decision: ShadowSide, *events: OrderEvent, method: MatchMethod = MatchMethod.INTENT_ID) -> Settled:
    """A decision settled with an executed order."""
    return Settled(decision=decision, order=folded(*events), outcome=LiveOutcome.EXECUTED, method=method, reason=None)


def leg(order_id: str = "1", **changes: Any) -> Leg:
    """A filled leg."""
    return Leg(**({"order_id": order_id, "is_reduce_only": False, "status": OrderStatus.FILLED} | changes))


def live(**changes: Any) -> LiveSide:
    """A live side of which nothing was measured."""
    fields = dict.fromkeys(LiveSide.__slots__) | {"legs": ()}
    return LiveSide(**(fields | changes))


def diff(number: int = 0, **changes: Any) -> Diff:
    """A match of which nothing was measured; `number` names its decision and gives its time."""
    fields = dict.fromkeys(Diff.__slots__) | {
        "symbol": SYMBOL,
        "ts": T0 + number,
        "decision_id": f"d{number}",
        "side": Side.BUY,
        "live_outcome": LiveOutcome.EXECUTED,
        "mismatch_kind": MismatchKind.MATCH,
        "veto_mismatch": False,
        "heartbeat": False,
    }
    return Diff(**(fields | changes))


# Rows, as the executor writes them.


def iso(at: float) -> str:
    """A time as the executor writes it."""
    return datetime.fromtimestamp(T0 + at, UTC).isoformat()


def _ids(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"intent_id": f"ord_{name}", "attempt_id": f"sig_{name}"}


def attempt_row(at: float, name: str | None = "1", **changes: Any) -> dict[str, Any]:
    """A BUY of 5 at 100 on a flat account of 10,000: v6 allows it."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "qty": 5.0,
        "price_hint": PRICE,
        "strategy": None,
        "local_ts": T0 + at,
        "ts": iso(at),
        "nav_snapshot": {"nav_usd": 10_000.0, "gross_usd": 0.0},
        "reduce_only": False,
        **_ids(name),
        "event_type": "order_attempt",
    }
    return row | changes


def ack_row(at: float, name: str | None = "1", order_id: int = 1, qty: float = 5.0, **changes: Any) -> dict[str, Any]:
    """An order accepted by the exchange."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "orderId": order_id,
        "request_qty": qty,
        "status": "NEW",
        **_ids(name),
        "ts": iso(at),
        "event_type": "order_ack",
    }
    return row | changes


def fill_row(at: float, name: str | None = "1", order_id: int = 1, qty: float = 5.0, **changes: Any) -> dict[str, Any]:
    """An order filled, at the decision price."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "orderId": order_id,
        "executedQty": qty,
        "avgPrice": PRICE,
        "fee_total": 0.25,
        "status": "FILLED",
        **_ids(name),
        "ts": iso(at),
        "event_type": "order_fill",
    }
    return row | changes


def error_row(at: float, name: str | None = "1", **changes: Any) -> dict[str, Any]:
    """An order that could not be sent."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "exc": "BinanceAPIException(APIError(code=-2019))",
        **_ids(name),
        "ts": iso(at),
        "event_type": "order_error",
    }
    return row | changes


def veto_row(at: float, name: str | None = "1", **changes: Any) -> dict[str, Any]:
    """A live veto with its ids where the executor puts them."""
    row = {
        "symbol": SYMBOL,
        "side": "BUY",
        "veto_reason": "bucket_cap",
        "veto_detail": {"intent": _ids(name)},
        "ts": iso(at),
        "event_type": "risk_veto",
    }
    return row | changes


def shadow_row(at: float, name: str | None = "1", **changes: Any) -> dict[str, Any]:
    """A decision of another producer: it allows a BUY of 5 at 100."""
    row = {
        "symbol": SYMBOL,
        "intent": {"symbol": SYMBOL, "side": "LONG", "qty": 5.0, "quote_notional": 500.0, "price": PRICE},
        "risk_decision": {"allowed": True, "reasons": []},
        "sizing": {"sized_gross_usd": 500.0},
        "size_decision": {"gross_usd": 500.0, "qty": 5.0},
        "router_decision": {"expected_slippage_bps": 1.0},
        "timestamp": T0 + at,
        **_ids(name),
    }
    return row | changes


# Homes.

RISK_LIMITS = {
    "global": {
        "min_notional_usdt": 10.0,
        "max_trade_nav_pct": 0.1,
        "trade_equity_nav_pct": 15,
        "max_gross_exposure_pct": 150,
        "expected_slippage_bps": 1.0,
    },
    "max_leverage": 4,
    "nav_freshness_seconds": 90,
    "per_symbol": {"BTCUSDT": {"max_notional_usd": 800.0}, "ETHUSDT": {"max_nav_pct": 8.0}},
}
PAIRS_UNIVERSE = {
    "symbols": ["BTCUSDT"],
    "overrides": {"BTCUSDT": {"target_leverage": 3, "min_notional": 5.0, "step_size": 0.001, "tick_size": 0.1}},
    "universe": [{"symbol": "ETHUSDT", "tier": "CORE", "status": "enabled", "caps": {"max_order_notional": 900.0}}],
}

ATTEMPTS = "orders_attempted"
ORDERS = "orders_executed"
VETOES = "risk_vetoes"


class Home:
    """A configured home and an executor's logs in it. Time moves only as the test says."""

    def __init__(self, root: Path, **environ: str) -> None:
        self.settings: Settings = load_settings({"PIPELINE_V6_HOME": str(root), **environ}, root)
        self.settings.config_dir.mkdir(parents=True, exist_ok=True)
        self.settings.risk_limits.write_text(json.dumps(RISK_LIMITS))
        self.settings.pairs_universe.write_text(json.dumps(PAIRS_UNIVERSE))
        self.limits: Limits = load_configuration(self.settings.risk_limits, self.settings.pairs_universe).limits

    def log(self, name: str) -> Path:
        """The current file of an executor's log."""
        return self.settings.logs_dir / "execution" / f"{name}.jsonl"

    def append(self, path: Path, *rows: object) -> None:
        """Rows (or bytes as they are) at the end of a log."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            for row in rows:
                file.write(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n")

    def attempts(self, *rows: object) -> None:
        """Append to the attempts."""
        self.append(self.log(ATTEMPTS), *rows)

    def orders(self, *rows: object) -> None:
        """Append to the order events."""
        self.append(self.log(ORDERS), *rows)

    def vetoes(self, *rows: object) -> None:
        """Append to the vetoes."""
        self.append(self.log(VETOES), *rows)

    def rotate(self, name: str) -> None:
        """Rotate an executor's log as a rotating file handler does."""
        path = self.log(name)
        if not path.exists():
            return
        for number in range(4, 0, -1):
            older = path.with_name(f"{path.stem}.{number}{path.suffix}")
            if older.exists():
                older.replace(path.with_name(f"{path.stem}.{number + 1}{path.suffix}"))
        path.replace(path.with_name(f"{path.stem}.1{path.suffix}"))

    def shadow(self, at: float) -> ShadowRun:
        """Run the shadow stage."""
        return run_shadow(self.settings, self.limits, clock_at(at))

    def compare(self, at: float, *, rebuild: bool = False, lasts_s: float = 0.0) -> CompareRun:
        """Run the compare stage: all that the logs hold by the end of the run is there when it reads them."""
        times = chain([T0 + at], repeat(T0 + at + lasts_s))
        return run_compare(self.settings, self.limits, lambda: next(times), rebuild=rebuild)

    def run(self, at: float) -> CompareRun:
        """All three stages, as one tick of the daemon runs them."""
        self.shadow(at)
        refresh_head(self.settings, T0 + at)
        return self.compare(at)

    def diff_lines(self) -> list[bytes]:
        """The diffs of the compare log, without the ends of its blocks and without the chain."""
        return [line for line in self._compare_lines() if "mismatch_kind" in json.loads(line)]

    def diffs(self) -> list[dict[str, Any]]:
        """The same, read."""
        return [json.loads(line) for line in self.diff_lines()]

    def block_ends(self) -> list[dict[str, Any]]:
        """The last line of each block."""
        return [row for row in map(json.loads, self._compare_lines()) if "cursor" in row]

    def summary(self) -> dict[str, Any]:
        """The summary file."""
        summary: dict[str, Any] = json.loads(self.settings.compare_summary.read_bytes())
        return summary

    def _compare_lines(self) -> list[bytes]:
        # Lines between which a run said that there was nothing new have other neighbours in a rebuild.
        return [unchained(line) for line in self.settings.compare_diffs.read_bytes().splitlines()]


def clock_at(at: float) -> Callable[[], float]:
    """A clock that stands still."""
    return lambda: T0 + at


class Feed:
    """What an executor will have logged, each row at its time; `write` brings a home's logs up to a time."""

    def __init__(self, rows: Iterable[tuple[float, str, object]]) -> None:
        self._rows = sorted(rows, key=lambda row: row[0])
        self._written = 0

    def write(self, home: Home, until: float = inf) -> None:
        """Append what was logged up to `until`, the times of which are those of the rows."""
        while self._written < len(self._rows) and T0 + self._rows[self._written][0] <= until:
            _, name, row = self._rows[self._written]
            home.append(home.log(name), row)
            self._written += 1


def can_write_anywhere() -> bool:
    """Whether this user may write where a mode forbids it."""
    return os.geteuid() == 0
