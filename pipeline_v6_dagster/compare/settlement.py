"""When a decision is compared, and with what.

The matcher is fed decisions, order events and vetoes in the order of their times, and asked to settle up to a
time. Whether an order is late is therefore decided by its own log time, not by when it was read, and a run from
nothing settles what many small runs settled.

A decision is settled as soon as its outcome is final, at the latest at its deadline: as-of time plus tolerance,
two tolerances where only time can pair it (an order at the end of the tolerance may belong to a decision that
comes later, so that one has to be seen as well). Where live asked for less than v6 would have, more orders of the
intent may follow: such a decision waits for its deadline.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline_v6_dagster.compare.due_queue import DECISION, ERROR, ORDER, VETO, Due, DueQueue
from pipeline_v6_dagster.compare.evidence import classify_outcome, explain_refusal, find_match_method
from pipeline_v6_dagster.compare.folding import reject_leg
from pipeline_v6_dagster.compare.id_pairing import IdPairing
from pipeline_v6_dagster.compare.live_market import apply_close
from pipeline_v6_dagster.compare.live_order_index import LiveOrderIndex
from pipeline_v6_dagster.compare.open_decisions import DecisionIndex
from pipeline_v6_dagster.compare.open_state import OpenDecision, OpenState
from pipeline_v6_dagster.compare.pending_rows import PendingRows, has_id
from pipeline_v6_dagster.compare.readiness import find_ready_ts, is_final_ahead
from pipeline_v6_dagster.compare.retries import RETRY_S, find_retried, remember_vetoed
from pipeline_v6_dagster.compare.settled import Settled, UnmatchedOrder, UnmatchedRow
from pipeline_v6_dagster.compare.time_pairing import IsAlreadySettled, TimePairing
from pipeline_v6_dagster.domain.comparison import ComparePolicy, LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import Arrival, EventKind, ExchangeFilter, IntentOrders, OrderEvent, Veto
from pipeline_v6_dagster.domain.position_book import PositionBook
from pipeline_v6_dagster.domain.position_state import PositionRow
from pipeline_v6_dagster.domain.quality import IgnoredRow


def _none_owns(_intent_id: str | None, _attempt_id: str | None, _ts: float) -> bool:
    return False


class OutcomeMatcher:
    """Open decisions and the live evidence that may decide them.

    All that it knows is in `state`, which it changes in place: a matcher of that state goes on where this one
    stopped. What else it holds is an index of it. `owns` tells of the decisions that were settled before.
    """

    def __init__(self, policy: ComparePolicy, state: OpenState, owns: IsAlreadySettled = _none_owns) -> None:
        self.state = state
        self.dropped: Counter[str] = Counter()
        self._policy = policy
        self._owns = owns
        # How long evidence without an id may wait: an order that leads its decision by as much as it may is due
        # when that decision is.
        self._reach_s = 2 * policy.tolerance_s + policy.order_lead_s
        self._book = LiveOrderIndex(state, self._reach_s)
        self._vetoes = PendingRows[Veto](state.vetoes)
        self._errors = PendingRows[OrderEvent](state.errors)
        self._decisions = DecisionIndex(2 * policy.tolerance_s)
        waiting = (self._vetoes, self._errors)
        self._by_time = TimePairing(policy, state, self._book, waiting, self._decisions, owns)
        self._by_id = IdPairing(state, self._book, self._decisions)
        self._forget_ts = 0.0
        self._due = DueQueue()
        for item in state.decisions.values():
            self._decisions.add(item)
            self._by_id.restore(item)
            self._push(item)
        for key in state.orders:
            self._push_order(key)
        for number, veto in state.vetoes.items():
            self._push_row(VETO, number, veto)
        for number, error in state.errors.items():
            self._push_row(ERROR, number, error)

    # What comes in.

    def add_decision(self, decision: ShadowSide) -> None:
        """A shadow decision, at its as-of time. One that is open already is the same one."""
        if decision.decision_id in self.state.decisions:
            self.dropped[IgnoredRow.REPEATED_DECISION] += 1
            return
        item = OpenDecision(decision=decision)
        self.state.decisions[decision.decision_id] = item
        if decision.amends is not None:
            self._by_id.amend(item)
        self._decisions.add(item)
        # An order or a veto may be logged a little before its attempt.
        key = self._by_id.find_free_key(decision)
        if key is not None:
            self._by_id.claim(item, key)
            self._forget_unmatched(key)
        oldest_ts = decision.as_of - self._reach_s
        item.veto = self._vetoes.take_with_id(decision, oldest_ts)
        item.error = self._errors.take_with_id(decision, oldest_ts)
        self._schedule(item)

    def add_event(self, event: OrderEvent) -> None:
        """An order event, at its log time."""
        if event.lot_step is not None and event.symbol is not None:
            self.state.filters[event.symbol] = ExchangeFilter(event.lot_step, event.min_notional_usd)
        if event.kind is EventKind.ERROR:
            self._add_error(event)
            return
        if event.kind is EventKind.CLOSE:
            apply_close(self.state, event)
            return
        known_key = self._by_id.find_key(event)
        amended = self._by_id.hand_over(event, known_key)
        if amended is not None:
            self._schedule(amended)
        for key in self._book.add(event, known_key):
            owner = self._by_id.owner(key) or self._claim_for(key)
            if owner is not None:
                self._schedule(owner)
            else:
                self._push_order(key)

    def add_arrival(self, arrival: Arrival) -> None:
        """An arrival price, at its log time. The first one of a decision holds: later ones are of later orders."""
        self.state.has_arrivals = True
        item = self._decisions.find(arrival.intent_id, arrival.attempt_id)
        if item is None:
            self.dropped[IgnoredRow.UNMATCHED_ARRIVAL] += 1
        elif item.arrival_price is None:
            item.arrival_price = arrival.price
            self._schedule(item)

    def add_positions(self, ts: float, rows: Iterable[PositionRow]) -> None:
        """A snapshot of positions, at its log time (epoch s)."""
        PositionBook(self.state.positions).snapshot(ts, rows)

    def add_veto(self, veto: Veto) -> None:
        """A live veto, at its log time."""
        item = self._decisions.find(veto.intent_id, veto.attempt_id)
        if item is None:
            self._push_row(VETO, self._vetoes.add(veto), veto)
        elif item.veto is not None:
            self.dropped[IgnoredRow.REPEATED_VETO] += 1
        else:
            item.veto = veto
            self._schedule(item)

    def _add_error(self, error: OrderEvent) -> None:
        item = self._decisions.find(error.intent_id, error.attempt_id)
        if item is None:
            self._push_row(ERROR, self._errors.add(error), error)
            return
        item.error = error
        if item.order_key is not None:
            reject_leg(self.state.orders[item.order_key], error)
        self._schedule(item)

    # What comes out.

    def is_due(self, until: float) -> bool:
        """Whether `settle` would find anything."""
        first_ts = self._due.first_ts  # Asked for every row, so nothing else is called.
        return until >= self._forget_ts or first_ts < until

    def settle(self, until: float) -> Iterator[Settled | UnmatchedOrder | UnmatchedRow]:
        """Everything that is decided before `until` (epoch s), in the order in which it was.

        What was logged at a deadline itself is in time.
        """
        while self._due.is_due(until):
            found = self._take(self._due.pop())
            if found is not None:
                yield found
        if until >= self._forget_ts:
            self.forget(until)

    def _take(self, due: Due) -> Settled | UnmatchedOrder | UnmatchedRow | None:
        """What an entry of the queue gives; None where it holds no more."""
        if due.what == DECISION:
            item = self.state.decisions.get(due.key)
            # Else settled already, or due at another time since.
            if item is None or item.ready_ts != due.due_ts or self._waits_for_time_pairing(item):
                return None
            self._close(item)
            return self._settled(item)
        if due.what == ORDER:
            if not self._is_order_due(due.key, due.due_ts):
                return None
            order = self._book.pop(due.key)
            self._forget_unmatched(due.key)
            outcome = classify_outcome(order)
            retried = find_retried(self.state.vetoed, order, outcome, self._policy.order_lead_s)
            if retried is not None and self._owns(order.intent_id, order.attempt_id, order.first_ts):
                retried = None
            if retried is not None:
                self.state.vetoed.remove(retried)
            return UnmatchedOrder(order, outcome, retried)
        if due.what == VETO:
            return UnmatchedRow(self._vetoes.pop(due.number)) if due.number in self._vetoes.rows else None
        return UnmatchedRow(self._errors.pop(due.number)) if due.number in self._errors.rows else None

    def settle_ahead(self, now: float) -> Iterator[Settled]:
        """The decisions that evidence logged ahead of our clock has made final: what was logged has happened."""
        state, policy = self.state, self._policy
        ahead = [item for item in state.decisions.values() if is_final_ahead(item, state, policy, now)]
        for item in sorted(ahead, key=lambda item: (item.ready_ts, item.decision.as_of, item.decision.decision_id)):
            self._close(item)
            yield self._settled(item)

    def forget(self, until: float) -> None:
        """Discard the evidence without ids that can match nothing any more, and count it."""
        self._forget_ts = until + self._policy.tolerance_s
        oldest_ts = until - self._reach_s
        self.dropped[IgnoredRow.UNMATCHED_VETO] += self._vetoes.drop_without_id(oldest_ts)
        self.dropped[IgnoredRow.UNMATCHED_ERROR] += self._errors.drop_without_id(oldest_ts)
        self._book.forget(oldest_ts)
        self.state.vetoed = [one for one in self.state.vetoed if one.ts >= oldest_ts - RETRY_S]

    def _claim_for(self, key: str) -> OpenDecision | None:
        item = self._by_id.claim_for(key)
        if item is not None:
            self._forget_unmatched(key)
        return item

    def _forget_unmatched(self, key: str) -> None:
        self._by_time.unclaimed.pop(key, None)
        self.state.unmatched_orders.pop(key, None)

    # When.

    def _push(self, item: OpenDecision) -> None:
        decision = item.decision
        self._due.push(item.ready_ts, DECISION, decision.as_of, decision.decision_id)

    def _push_order(self, key: str) -> None:
        if self._by_id.owner(key) is not None:
            return
        order = self.state.orders[key]
        if order.has_id:
            self._by_time.unclaimed[key] = None
        self._due.push(self._order_due_ts(key, order), ORDER, order.first_ts, key)

    def _push_row(self, what: int, number: int, row: Veto | OrderEvent) -> None:
        if has_id(row):
            self._due.push(row.ts + self._reach_s, what, row.ts, number=number)

    def _order_due_ts(self, key: str, order: IntentOrders) -> float:
        waits_for_time = not order.has_id or key in self.state.unmatched_orders
        return order.first_ts + (self._reach_s if waits_for_time else self._policy.tolerance_s)

    def _is_order_due(self, key: str, due_ts: float) -> bool:
        order = self.state.orders.get(key)
        if order is None or self._by_id.owner(key) is not None or self._order_due_ts(key, order) != due_ts:
            return False
        if order.has_id and key not in self.state.unmatched_orders and self._by_time.is_wanted(order):
            self.state.unmatched_orders[key] = None
            self._push_order(key)
            return False
        return True

    def _schedule(self, item: OpenDecision) -> None:
        ready_ts = find_ready_ts(item, self.state, self._policy)
        if ready_ts != item.ready_ts:
            item.ready_ts = ready_ts
            self._push(item)

    def _waits_for_time_pairing(self, item: OpenDecision) -> bool:
        """Whether a decision that no id has paired by its deadline has something that time might pair it with."""
        if item.order_key is not None or not item.is_undecided:
            return False
        decision, policy = item.decision, self._policy
        final_deadline = decision.as_of + policy.tolerance_s + policy.tolerance_s
        if item.ready_ts >= final_deadline:
            return False
        if not self._by_time.has_candidate(decision):
            return False
        item.ready_ts = final_deadline
        self._push(item)
        return True

    # Settling one.

    def _close(self, item: OpenDecision) -> None:
        decision = item.decision
        del self.state.decisions[decision.decision_id]
        self._decisions.remove(item)
        self._by_id.forget(item)

    def _settled(self, item: OpenDecision) -> Settled:
        decision, key, method = item.decision, item.order_key, item.method
        if item.superseded is not None:
            return self._with_order(item, item.superseded, method)
        if item.is_undecided:
            key = self._by_time.take_order(decision)
            method = MatchMethod.TIME if key is not None else None
        if key is not None:
            order = self._book.pop(key)
            self._by_id.release(key)
            self._forget_unmatched(key)
            self._book.remember_open_legs(order, decision, item.ready_ts)
            return self._with_order(item, order, method)
        refusal = item.veto or item.error or self._by_time.take_refusal(decision)
        found = self._result(item, LiveOutcome.UNRESOLVED)
        if refusal is not None:
            found.refusal, found.reason = refusal, refusal.reason
            found.method, found.outcome = find_match_method(refusal, decision), LiveOutcome.ERROR
            if isinstance(refusal, Veto):
                found.outcome = LiveOutcome.VETOED
                remember_vetoed(self.state.vetoed, decision, refusal.ts)
        return found

    def _with_order(self, item: OpenDecision, order: IntentOrders, method: MatchMethod | None) -> Settled:
        found = self._result(item, classify_outcome(order))
        found.order, found.method = order, method
        found.reason = explain_refusal(order, item.veto, item.error)
        seen = self.state.prices.get(item.decision.symbol)
        if seen is not None and seen.ts > order.last_ts:
            found.later_price = seen.price
        return found

    def _result(self, item: OpenDecision, outcome: LiveOutcome) -> Settled:
        found = Settled(decision=item.decision, outcome=outcome, arrival_price=item.arrival_price)
        found.exchange = self.state.filters.get(item.decision.symbol)
        found.shares_intent = item.shares_intent
        return found
