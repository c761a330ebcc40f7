"""The rows that the simulated executor logs. Field names and shapes are a real executor's."""

import random
import uuid
from collections import deque
from datetime import UTC, datetime

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import OrderStatus
from pipeline_v6_dagster.simulator.configuration import INSTRUMENTS
from pipeline_v6_dagster.simulator.market import BPS, Account
from pipeline_v6_dagster.simulator.orders import Intent, LogLine, Order, Row

HOSTNAME = "executor-sim"
FIRST_PID = 4242
STRATEGIES = ("momentum", "mean_reversion", "carry")
CLIENT_ID_CHARS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
OPPOSITE = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
MODES = {Side.BUY: "LONG", Side.SELL: "SHORT"}


class Journal:
    """What the executor does, as the rows that it logs. Field names and shapes are the real executor's."""

    def __init__(self, account: Account, rng: random.Random) -> None:
        self.now = 0.0
        self.lines: deque[LogLine] = deque()
        self._account = account
        self._rng = rng
        self._pid = FIRST_PID
        self._run_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def restart(self) -> None:
        """Rows from now on are another process's."""
        self._pid += 1
        self._run_id = str(uuid.uuid5(uuid.UUID(self._run_id), str(self._pid)))

    def _log(self, log_name: str, event_type: str, row: Row) -> None:
        row |= {"ts": _iso(self.now), "event_type": event_type, "pid": self._pid, "hostname": HOSTNAME}
        self.lines.append(LogLine(log_name, self.now, row))

    def attempt(self, intent: Intent) -> Row:
        """The order attempt; returns its NAV snapshot."""
        now, rng = self.now, self._rng
        gross_usd = {symbol: self._account.gross_usd(symbol, now) for symbol in INSTRUMENTS}
        nav: Row = {"nav_usd": self._account.nav_usd(now), "gross_usd": sum(gross_usd.values())}
        if nav["gross_usd"]:
            nav["symbol_gross_usd"] = {symbol: gross for symbol, gross in gross_usd.items() if gross}
        row: Row = {
            "symbol": intent.instrument.symbol,
            "side": intent.side.value,
            "attempt_id": intent.attempt_id,
            "intent_id": intent.intent_id,
            "qty": intent.instrument.qty(intent.lots),
            "strategy": "auto_reduce" if intent.is_reduce_only else rng.choice(STRATEGIES),
            "signal_ts": _iso(now - rng.uniform(0.5, 30.0)),
            "local_ts": round(now - 0.0002, 6),
            "nav_snapshot": nav,
            "run_id": self._run_id,
            "reduce_only": intent.is_reduce_only,
            "price_hint": intent.price,
            "decision_latency_ms": None,
            "confidence": round(rng.uniform(0.5, 1.0), 3),
            "expected_edge": round(rng.uniform(0.0, 0.002), 5),
        }
        self._log("orders_attempted", "order_attempt", row)
        return nav

    def veto(self, intent: Intent, reason: str, limit_usd: float, nav: Row, *, has_ids: bool) -> None:
        """A veto for one limit, in the newer shape with ids or the older one without."""
        instrument, thresholds = intent.instrument, {reason: limit_usd}
        row: Row = {"symbol": instrument.symbol}
        if has_ids:
            asked = {
                "timestamp": _iso(intent.ts),
                "symbol": instrument.symbol,
                "signal": intent.side.value,
                "reduceOnly": False,
                "price": intent.price,
                "leverage": instrument.target_leverage,
                "gross_usd": intent.notional_usd,
                "attempt_id": intent.attempt_id,
                "intent_id": intent.intent_id,
            }
            detail: Row = {"intent": asked, "nav_snapshot": nav, "thresholds": thresholds}
            row |= {"side": intent.side.value, "position_side": MODES[intent.side], "thresholds": thresholds}
        else:
            observations = {"notional": intent.notional_usd, "nav_age_s": 0, "nav_sources_ok": True}
            detail = {"reasons": [reason], "thresholds": thresholds, "observations": observations}
            row |= {"original_reason": reason, "qty_req": instrument.qty(intent.lots), "signal_ts": None}
        self._log("risk_vetoes", "risk_veto", row | {"veto_reason": reason, "veto_detail": detail})

    def error(self, intent: Intent, *, has_ids: bool) -> None:
        """An order that the exchange refused."""
        qty = intent.instrument.qty(intent.lots * (1 + intent.is_upsized))
        payload = {
            "symbol": intent.instrument.symbol,
            "side": intent.side.value,
            "type": "MARKET",
            "quantity": str(qty),
        }
        row: Row = {
            "exc": 'HTTPError(\'503 Server Error :: {"code":-1008,"msg":"Server is currently overloaded."}\')',
            "symbol": intent.instrument.symbol,
            "side": intent.side.value,
            "order_type": "MARKET",
            "price": intent.price,
            "qty": qty,
            "payload": payload,
            "dry_run": False,
            "reduce_only": intent.is_reduce_only or None,
        }
        ids: Row = {"attempt_id": intent.attempt_id, "intent_id": intent.intent_id}
        self._log("orders_executed", "order_error", row | ids if has_ids else row)

    def ack(self, order: Order) -> None:
        """The exchange has the order."""
        row: Row = {
            "ts_ack": _iso(self.now),
            "request_qty": order.intent.instrument.qty(order.lots),
            "order_type": "LIMIT" if order.is_maker else "MARKET",
            "status": OrderStatus.NEW.value,
            "latency_ms": order.latency_ms,
        }
        self._log("orders_executed", "order_ack", self._names(order) | row)

    def fill(self, order: Order) -> None:
        """What has been filled of an order so far; repeats while it is polled."""
        row: Row = {
            "ts_fill_first": _iso(order.fill_ts[0]) if order.fill_ts else None,
            "ts_fill_last": _iso(order.fill_ts[-1]) if order.fill_ts else None,
            "executedQty": order.filled_qty,
            "avgPrice": order.avg_price,
            "fee_total": order.fees_usd,
            "feeAsset": "USDT",
            "tradeIds": list(order.trade_ids),
            "status": order.status.value,
        }
        self._log("orders_executed", "order_fill", self._names(order) | row)

    def end(self, order: Order) -> None:
        """What the executor writes once an order has ended: its metrics and, where it filled, what is held now."""
        self.metrics(order)
        if not order.filled_lots:
            return
        instrument, sign = order.intent.instrument, 1 if order.held_side is Side.BUY else -1
        held = self._account.positions[instrument.symbol, order.held_side]
        held_qty = sign * instrument.qty(held.lots)
        if order.is_reduce_only:
            close: Row = {
                "ts_close": _iso(order.fill_ts[-1]),
                "realizedPnlUsd": order.pnl_usd,
                "fees_total": order.fees_usd,
                "position_size_before": sign * instrument.qty(held.lots + order.filled_lots),
                "position_size_after": held_qty,
                "closed_qty": order.filled_qty,
            }
            names = {name: value for name, value in self._names(order).items() if name not in ("side", "reduceOnly")}
            self._log("orders_executed", "order_close", names | close)
            if not held.lots:
                self._log_position_close(order)
        snapshot: Row = {
            "symbol": instrument.symbol,
            "pos_qty": held_qty,
            "entry_px": held.entry_price,
            "unrealized_pnl": None,
            "leverage": instrument.target_leverage,
            "mode": MODES[order.held_side],
            "run_id": self._run_id,
        }
        self._log("position_state", "position_snapshot", snapshot)

    @staticmethod
    def _names(order: Order) -> Row:
        names: Row = {
            "symbol": order.intent.instrument.symbol,
            "side": order.intent.side.value,
            "orderId": order.order_id,
            "clientOrderId": order.client_id,
            "positionSide": MODES[order.held_side],
            "attempt_id": order.attempt_id,
            "intent_id": order.intent.intent_id,
        }
        return names | {"reduceOnly": True} if order.is_reduce_only else names

    def metrics(self, order: Order) -> None:
        """Prices, timing, fees and slippage of an order."""
        intent = order.intent
        sign = 1 if intent.side is Side.BUY else -1
        qty = order.filled_qty if order.filled_lots else intent.instrument.qty(order.lots)
        fill_ms = (self.now - order.ack_ts) * 1000 if order.filled_lots else None
        row: Row = {
            "attempt_id": order.attempt_id,
            "venue": "binance_futures",
            "route": "limit" if order.is_maker else "market",
            "prices": {"mark": intent.price, "submitted": intent.price, "avg_fill": order.avg_price},
            "qty": {"contracts": qty, "notional_usd": qty * (order.avg_price or intent.price)},
            "timing_ms": {"decision": None, "submit": None, "ack": order.latency_ms, "fill": fill_ms},
            "result": {
                "status": order.status.value,
                "retries": 0,
                "cancelled": order.status is OrderStatus.CANCELED,
            },
            "fees_usd": order.fees_usd,
            # Without a fill this is 10,000 bps: the real executor does not guard against an average fill of 0 either.
            "slippage_bps": sign * (order.avg_price - intent.price) / intent.price / BPS,
            "intent_id": intent.intent_id,
            "symbol": intent.instrument.symbol,
            "side": intent.side.value,
            "ts": self.now,
        }
        self.lines.append(LogLine("order_metrics", self.now, row))

    def _log_position_close(self, order: Order) -> None:
        row: Row = {
            "ts": self.now,
            "intent_id": order.intent.intent_id,
            "attempt_id": order.attempt_id,
            "symbol": order.intent.instrument.symbol,
            "side": order.intent.side.value,
            "event": "position_close",
            "pnl_at_close_usd": order.pnl_usd,
            "order_status": order.status.value,
        }
        self.lines.append(LogLine("order_metrics", self.now, row))


def _iso(ts: float) -> str:
    return datetime.fromtimestamp(ts, UTC).isoformat(timespec="microseconds")
