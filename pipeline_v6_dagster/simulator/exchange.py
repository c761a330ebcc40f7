"""The simulated exchange: takes an order, fills or cancels it in time, and has every step logged.

Belongs here: what happens to one order from its ack to its end, and what it does to the account. Which orders an
intent needs, and when, is `simulator.executor`.
"""

import random
from collections.abc import Callable, Generator

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import OrderStatus
from pipeline_v6_dagster.simulator.configuration import MAKER_FEE_BPS, TAKER_FEE_BPS
from pipeline_v6_dagster.simulator.journal import CLIENT_ID_CHARS, Journal
from pipeline_v6_dagster.simulator.market import BPS, Account, Market
from pipeline_v6_dagster.simulator.orders import Intent, Order

MAKER_CANCEL_SHARE, REPEATED_POLL_SHARE, EARLY_METRICS_SHARE = 0.05, 0.3, 0.05
# A maker order is filled or cancelled after so many seconds.
LEAST_REST_S, MOST_REST_S = 1.0, 8.0


class Exchange:
    """Fills the orders of one account. `on_ack` is called with every order before its ack is logged."""

    def __init__(
        self,
        market: Market,
        account: Account,
        journal: Journal,
        rng: random.Random,
        on_ack: Callable[[Order], None],
    ) -> None:
        self._market, self._account, self._journal, self._rng = market, account, journal, rng
        self._on_ack = on_ack
        self._order_id = rng.randrange(8_000_000_000, 9_000_000_000)

    def trade(self, intent: Intent, lots: int, held_side: Side, *, is_maker: bool) -> Generator[float, None, int]:
        """One order from its ack to its end; the lots that it leaves (0 but for a cancelled maker order)."""
        rng, sent_ts = self._rng, self._journal.now
        yield self.latency_s(0.35)
        order = self._place(intent, lots, held_side, is_maker=is_maker, sent_ts=sent_ts)
        if rng.random() < EARLY_METRICS_SHARE:
            self._journal.metrics(order)
        goal_lots = lots
        if is_maker:
            yield rng.uniform(LEAST_REST_S, MOST_REST_S)
            if rng.random() < MAKER_CANCEL_SHARE:
                goal_lots = rng.choice((0, rng.randrange(lots)))
        parts = rng.randint(1, 3)
        for total_lots in sorted({goal_lots * part // parts for part in range(1, parts + 1)} - {0}):
            yield self.latency_s(0.6)
            self._fill(order, total_lots - order.filled_lots)
            self._journal.fill(order)
            if total_lots < lots and rng.random() < REPEATED_POLL_SHARE:
                yield self.latency_s(0.5)
                self._journal.fill(order)
        if goal_lots < lots:
            yield self.latency_s(0.5)
            order.status = OrderStatus.CANCELED
            self._journal.fill(order)
        self._journal.end(order)
        return lots - goal_lots

    def latency_s(self, median_s: float) -> float:
        """Skewed to the right, below the seconds after which an executor would call an order lost."""
        return min(3.0, median_s * self._rng.lognormvariate(0.0, 0.6))

    def _place(self, intent: Intent, lots: int, held_side: Side, *, is_maker: bool, sent_ts: float) -> Order:
        self._order_id += self._rng.randrange(1, 500)
        now = self._journal.now
        client_id = "".join(self._rng.choices(CLIENT_ID_CHARS, k=22))
        order = Order(
            intent=intent,
            held_side=held_side,
            is_maker=is_maker,
            lots=lots,
            order_id=self._order_id,
            client_id=client_id,
            ack_ts=now,
            latency_ms=(now - sent_ts) * 1000,
        )
        self._on_ack(order)
        self._journal.ack(order)
        return order

    def _fill(self, order: Order, lots: int) -> None:
        intent, now = order.intent, self._journal.now
        instrument, symbol = intent.instrument, intent.instrument.symbol
        price = intent.price
        if not order.is_maker:
            price = self._market.fill_price(symbol, intent.side, now)
        if order.is_reduce_only:
            order.pnl_usd += self._account.close(symbol, order.held_side, lots, price)
        else:
            self._account.open(symbol, order.held_side, lots, price)
        gross_usd = instrument.qty(lots) * price
        fees_usd = gross_usd * (MAKER_FEE_BPS if order.is_maker else TAKER_FEE_BPS) * BPS
        self._account.cash_usd -= fees_usd
        order.filled_lots += lots
        order.gross_usd += gross_usd
        order.fees_usd += fees_usd
        order.fill_ts += (round(now - self._rng.uniform(0.05, 0.3), 3),)
        order.trade_ids += (str(self._rng.randrange(10**9, 10**10)),)
        order.status = OrderStatus.FILLED if order.filled_lots == order.lots else OrderStatus.PARTIALLY_FILLED
