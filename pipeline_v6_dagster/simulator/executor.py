"""The simulated live executor: strategies attempt, limits veto, orders are sent, and every step writes its log row.

Belongs here: what the executor does, and when; what becomes of its orders is `simulator.exchange`, the rows that say
so are `simulator.journal`. Each intent is a
generator that yields the seconds until its next step; a queue of them in time order is the whole simulation. Prices
and positions are `simulator.market`, limits `simulator.configuration`. Writing the rows to files is the caller's.
"""

import random
from collections.abc import Callable, Generator, Iterator
from heapq import heappop, heappush
from math import exp, inf, log
from types import MappingProxyType

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.simulator.configuration import (
    INSTRUMENTS,
    MIN_NOTIONAL_USD,
    Instrument,
)
from pipeline_v6_dagster.simulator.exchange import Exchange
from pipeline_v6_dagster.simulator.faults import Fault, Injected, Shares
from pipeline_v6_dagster.simulator.journal import OPPOSITE, Journal
from pipeline_v6_dagster.simulator.market import Account, Market
from pipeline_v6_dagster.simulator.orders import Intent, LogLine, Order, Row

# What strategies ask for stays below the limits, so that only what is meant to breach them does.
HEADROOM = 0.95
MAX_ORDER_NAV_RATIO = 0.08
# An order of one lot step placed twice as large would differ by rounding only.
MIN_LOTS = 3
CLOSE_WHOLE_SHARE, SAME_SIDE_SHARE = 0.7, 0.75
ERROR_RETRY_SHARE = 0.5

# How long the executor is away when its supervisor restarts it, and how often that happens.
RESTART_S, MEAN_UPTIME_S = 20.0, 6 * 3600.0

# As which limit the executor logs that the rollout lets an order not through; it has no figure.
TRADING_STATE, NO_LIMIT_USD = "trading_state", 0.0

Process = Generator[float, None, None]


class SimulatedExecutor:
    """Strategies, account and exchange of one desk. The same arguments give the same rows.

    Args:
        seed: names the history.
        start_ts: epoch seconds at which it starts.
        attempts_per_s: mean rate of attempts, at random times. The faster, the smaller the orders: all that are in
            flight have to fit under the limits. Where none fits, an attempt is left out (at hundreds a second).
        upsize_share: share of opening orders placed at twice the quantity asked for.
        veto_share: share of attempts for less than the minimum or more than the largest notional; all are vetoed.
        error_share: share of the others that the exchange refuses; half of them are sent again and succeed.
        idless_share: share of vetoes and final errors logged in the older shape, without ids.
        nav_usd: equity at the start; topped up to it when half is lost, so that a long history does not run dry.
        faults: shares of what it does wrong; `upsize` comes on top of `upsize_share`. What its logs have wrong is
            the injector's.
        late_s: how long after its attempt a `late` order is placed.
        ask_until: when strategies stop asking (epoch s), so that what is in flight can end.
    """

    def __init__(
        self,
        seed: int,
        start_ts: float,
        attempts_per_s: float,
        upsize_share: float = 0.0,
        *,
        veto_share: float = 0.02,
        error_share: float = 0.004,
        idless_share: float = 0.25,
        nav_usd: float = 1_000_000.0,
        faults: Shares = MappingProxyType({}),
        late_s: float = 2_000.0,
        ask_until: float = inf,
    ) -> None:
        if not attempts_per_s > 0:
            raise ValueError(f"attempts_per_s must be above 0, not {attempts_per_s}")
        self.injected: list[Injected] = []
        self._upsized: dict[str, None] = {}
        self._attempts_per_s = attempts_per_s
        self._upsize_share, self._veto_share = upsize_share + faults.get(Fault.UPSIZE, 0.0), veto_share
        self._faults, self._late_s, self._ask_until = faults, late_s, ask_until
        self._error_share, self._idless_share = error_share, idless_share
        self._start_nav_usd = nav_usd
        self._may_trade: Callable[[bool], bool] = lambda is_reducing: True
        self._rng = random.Random(f"executor {seed}")  # noqa: S311 -- repeatable, not secret
        # Draws of their own, so that without faults and restarts nothing else changes.
        self._fault_rng = random.Random(f"faults {seed}")  # noqa: S311 -- repeatable, not secret
        self._restart_ts = start_ts + self._fault_rng.expovariate(1 / MEAN_UPTIME_S)
        self._market = Market(seed, start_ts)
        self._account = Account(self._market, nav_usd)
        self._in_flight_usd = dict.fromkeys(INSTRUMENTS, 0.0)
        self._journal = Journal(self._account, self._rng)
        self._exchange = Exchange(self._market, self._account, self._journal, self._rng, self._note_upsize)
        self._now = start_ts
        self._due: list[tuple[float, int, Process]] = []
        self._started = 0
        self._start(self._strategies())

    @property
    def upsized_intent_ids(self) -> list[str]:
        """The intents placed at twice the quantity so far, in the order of their first acks."""
        return list(self._upsized)

    def trade_faster(self, attempts_per_s: float, *, upsize_share: float | None = None) -> None:
        """Attempt at another rate from where `run` has come to, with the orders as small as that takes.

        `upsize_share` is then the share of opening orders placed at twice the quantity; None leaves it as it is.
        """
        self._attempts_per_s = attempts_per_s
        if upsize_share is not None:
            self._upsize_share = upsize_share
        # The next attempt at the old rate may be hours away; the strategies at that rate end with it.
        self._start(self._strategies())

    def obey(self, may_trade: Callable[[bool], bool]) -> None:
        """Ask before every order from here on, with whether it reduces, if it may go out; one that may not is vetoed.

        Where an order of the intent is out already (the reduce leg of a flip, a resting order), the rest is given up.
        """
        self._may_trade = may_trade

    def run(self, until: float) -> Iterator[LogLine]:
        """The rows up to `until` (epoch s) that no earlier call has given, in log-time order."""
        lines = self._journal.lines
        while True:
            while lines and lines[0].ts <= until:
                yield lines.popleft()
            if lines or not self._due or self._due[0][0] > until:
                self._now = max(self._now, until)
                return
            self._now, number, process = heappop(self._due)
            self._journal.now = self._now
            self._resume(process, number)

    def _start(self, process: Process) -> None:
        self._started += 1
        self._resume(process, self._started)

    def _resume(self, process: Process, number: int) -> None:
        delay_s = next(process, None)
        if delay_s is not None:
            # To the microsecond, as the rows write it.
            heappush(self._due, (round(self._now + delay_s, 6), number, process))

    # What strategies ask for.

    def _strategies(self) -> Process:
        attempts_per_s = self._attempts_per_s
        while True:
            yield self._rng.expovariate(attempts_per_s)
            if self._now >= self._ask_until or attempts_per_s != self._attempts_per_s:
                return
            if self._now >= self._restart_ts:
                self._restart_ts = self._now + self._fault_rng.expovariate(1 / MEAN_UPTIME_S)
                self._journal.restart()
                yield RESTART_S
            if self._account.nav_usd(self._now) < self._start_nav_usd / 2:
                self._account.cash_usd += self._start_nav_usd - self._account.nav_usd(self._now)
            if self._rng.random() < self._veto_share:
                self._attempt(self._breaching())
                continue
            instruments = self._rng.sample(list(INSTRUMENTS.values()), len(INSTRUMENTS))
            intent = next(filter(None, map(self._close_or_open, instruments)), None)
            if intent is not None:
                self._attempt(intent)
            if self._draws(Fault.ROGUE):
                self._send_rogue()

    def _close_or_open(self, instrument: Instrument) -> Intent | None:
        """An intent that the limits allow; None where orders in flight leave neither lots nor room for one.

        The more of its room a symbol takes, the likelier a close.
        """
        rng, symbol, nav_usd = self._rng, instrument.symbol, self._account.nav_usd(self._now)
        cap_usd = HEADROOM * instrument.max_nav_ratio * nav_usd
        taken_usd = self._account.gross_usd(symbol, self._now) + self._in_flight_usd[symbol]
        free_lots = {side: self._account.positions[symbol, side].free_lots for side in Side}
        held_side = max(Side, key=lambda side: free_lots[side])
        held_lots = free_lots[held_side]
        if held_lots and rng.random() < 0.2 + 0.6 * taken_usd / cap_usd:
            lots = held_lots if rng.random() < CLOSE_WHOLE_SHARE else rng.randint(1, held_lots)
            return self._intent(instrument, OPPOSITE[held_side], lots, is_reduce_only=True)
        price = self._market.price(symbol, self._now)
        least_usd = 1.1 * max(MIN_NOTIONAL_USD, MIN_LOTS * instrument.lot_step * price) + instrument.lot_step * price
        most_usd = min(
            MAX_ORDER_NAV_RATIO * nav_usd,
            HEADROOM * instrument.max_order_notional_usd,
            max(2 * least_usd, cap_usd / (2 * self._attempts_per_s)),
            (cap_usd - taken_usd) / 2,
        )
        if most_usd < least_usd:
            return None
        side = held_side if held_lots and rng.random() < SAME_SIDE_SHARE else rng.choice(list(Side))
        lots = instrument.lots(exp(rng.uniform(log(least_usd), log(most_usd))), price)
        return self._intent(instrument, side, lots, flip_lots=free_lots[OPPOSITE[side]])

    def _breaching(self) -> Intent:
        """An opening for less than the minimum, or (where a lot step is worth that) more than the largest order."""
        instrument = self._rng.choice(list(INSTRUMENTS.values()))
        price = self._market.price(instrument.symbol, self._now)
        lots = instrument.lots(self._rng.uniform(0.3, 0.99) * MIN_NOTIONAL_USD, price)
        if not lots or self._rng.random() < 0.5:
            lots = instrument.lots(self._rng.uniform(1.1, 2.0) * instrument.max_order_notional_usd, price)
        return self._intent(instrument, self._rng.choice(list(Side)), lots)

    def _intent(
        self, instrument: Instrument, side: Side, lots: int, *, is_reduce_only: bool = False, flip_lots: int = 0
    ) -> Intent:
        intent_id, attempt_id = (f"{kind}_{self._rng.getrandbits(40):010x}" for kind in ("ord", "sig"))
        price = self._market.price(instrument.symbol, self._now)
        return Intent(
            instrument=instrument,
            side=side,
            lots=lots,
            price=price,
            ts=self._now,
            intent_id=intent_id,
            attempt_id=attempt_id,
            is_reduce_only=is_reduce_only,
            flip_lots=flip_lots,
        )

    # What the executor does with it.

    def _attempt(self, intent: Intent) -> None:
        nav = self._journal.attempt(intent)
        breach = intent.instrument.breach(intent.notional_usd, self._account.nav_usd(self._now))
        if breach is not None and not intent.is_reduce_only:
            self._start(self._veto(intent, *breach, nav))
            return
        if not self._may_trade(intent.is_reduce_only):
            self._start(self._veto(intent, TRADING_STATE, NO_LIMIT_USD, nav))
            return
        if self._draws(Fault.MISSED):
            self._note(Fault.MISSED, intent, "orders_attempted")
            return
        intent.is_upsized = not intent.is_reduce_only and self._rng.random() < self._upsize_share
        self._reserve(intent, 1)
        is_late = not intent.is_upsized and self._draws(Fault.LATE)
        self._start(self._work_late(intent) if is_late else self._work(intent))

    def _send_rogue(self) -> None:
        """An order for which there was no attempt."""
        for instrument in self._fault_rng.sample(list(INSTRUMENTS.values()), len(INSTRUMENTS)):
            intent = self._close_or_open(instrument)
            if intent is not None:
                self._note(Fault.ROGUE, intent, "orders_executed")
                self._reserve(intent, 1)
                self._start(self._work(intent, can_fail=False))
                return

    def _work_late(self, intent: Intent) -> Process:
        self._note(Fault.LATE, intent, "orders_executed")
        yield self._late_s
        yield from self._work(intent, can_fail=False)

    def _draws(self, fault: Fault) -> bool:
        share = self._faults.get(fault, 0.0)
        return share > 0 and self._fault_rng.random() < share

    def _note(self, fault: Fault, intent: Intent, log_name: str) -> None:
        self.injected.append(
            Injected(
                fault=fault, ts=self._now, log=log_name, symbol=intent.instrument.symbol, intent_id=intent.intent_id
            )
        )

    def _note_upsize(self, order: Order) -> None:
        intent = order.intent
        if intent.is_upsized and not order.is_reduce_only and intent.intent_id not in self._upsized:
            self._note(Fault.UPSIZE, intent, "orders_executed")
            self._upsized[intent.intent_id] = None

    def _reserve(self, intent: Intent, sign: int) -> None:
        """Hold (1) or give back (-1) the room that an opening and the lots that a close or flip will take."""
        symbol = intent.instrument.symbol
        closing_lots = intent.lots if intent.is_reduce_only else intent.flip_lots
        self._account.positions[symbol, OPPOSITE[intent.side]].closing_lots += sign * closing_lots
        self._in_flight_usd[symbol] += sign * intent.opening_usd

    def _veto(self, intent: Intent, reason: str, limit_usd: float, nav: Row) -> Process:
        yield self._rng.uniform(0.002, 0.02)
        self._journal.veto(intent, reason, limit_usd, nav, has_ids=self._rng.random() >= self._idless_share)

    def _work(self, intent: Intent, *, can_fail: bool = True) -> Process:
        """From a passed attempt to its last fill: a flip's reduce leg; a maker order; what that leaves, as taker."""
        if can_fail and self._rng.random() < self._error_share:
            is_retried = self._rng.random() < ERROR_RETRY_SHARE
            yield self._exchange.latency_s(0.4)
            self._journal.error(intent, has_ids=is_retried or self._rng.random() >= self._idless_share)
            if not is_retried:
                self._reserve(intent, -1)
                return
            yield self._rng.uniform(0.2, 0.8)
        flip_lots_left = intent.flip_lots
        if intent.flip_lots:
            flip_lots_left = yield from self._send(intent, intent.flip_lots, OPPOSITE[intent.side], is_maker=False)
        held_side = OPPOSITE[intent.side] if intent.is_reduce_only else intent.side
        lots_left = intent.lots * (1 + intent.is_upsized)
        if not flip_lots_left:
            # Resting first, as v6's router does once it has seen that resting orders are filled.
            lots_left = yield from self._send(intent, lots_left, held_side, is_maker=True)
        if lots_left and not flip_lots_left:
            lots_left = yield from self._send(intent, lots_left, held_side, is_maker=False)
        not_closed_lots = lots_left if intent.is_reduce_only else flip_lots_left
        self._account.positions[intent.instrument.symbol, OPPOSITE[intent.side]].closing_lots -= not_closed_lots
        self._in_flight_usd[intent.instrument.symbol] -= intent.opening_usd

    def _send(self, intent: Intent, lots: int, held_side: Side, *, is_maker: bool) -> Generator[float, None, int]:
        """One order, if it may go out; the lots that it leaves, all of them if it may not."""
        if not self._may_trade(held_side is not intent.side):
            return lots
        return (yield from self._exchange.trade(intent, lots, held_side, is_maker=is_maker))
