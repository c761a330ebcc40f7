"""When a decision is compared, and with what.

The matcher is fed decisions, order events and vetoes in the order of their times, and asked to settle up to a
time. Whether an order is late is therefore decided by its own log time, not by when it was read, and a run from
nothing settles what many small runs settled.

A decision is settled as soon as its outcome is final, at the latest at its deadline: as-of time plus tolerance,
two tolerances where only time can pair it (an order at the end of the tolerance may belong to a decision that
comes later, so that one has to be seen as well).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

from pipeline_v6_dagster.compare.evidence import final_ts_of, method_of, outcome_of, reason_of
from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.compare.live_order_index import LiveOrderIndex
from pipeline_v6_dagster.compare.open_decisions import DecisionIndex
from pipeline_v6_dagster.compare.open_state import OpenDecision, OpenState
from pipeline_v6_dagster.compare.pending_rows import PendingRows, has_id
from pipeline_v6_dagster.compare.time_pairing import IsAlreadySettled, TimePairing
from pipeline_v6_dagster.domain.comparison import ComparePolicy, LiveOutcome, MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import Arrival, EventKind, ExchangeFilter, IntentOrders, OrderEvent, Veto
from pipeline_v6_dagster.domain.quality import IgnoredRow


def _none_owns(_intent_id: str | None, _attempt_id: str | None, _ts: float) -> bool:
    return False


# What is due: a decision, an order, a veto or an error. Of equal times in this order.
_DECISION, _ORDER, _VETO, _ERROR = range(4)


@dataclass(slots=True)
class Settled:
    """One decision whose outcome is decided. `reason` is the live veto's or error's.

    `exchange` is what the exchange asked of the symbol by then; `shares_intent` tells of another decision of the
    intent.
    """

    decision: ShadowSide
    order: IntentOrders | None
    outcome: LiveOutcome
    method: MatchMethod | None
    reason: str | None
    arrival_price: float | None = None
    exchange: ExchangeFilter | None = None
    shares_intent: bool = False


@dataclass(slots=True)
class UnmatchedOrder:
    """An order that no open decision explains: late for a settled one, or nobody's."""

    order: IntentOrders
    outcome: LiveOutcome


@dataclass(slots=True)
class UnmatchedRow:
    """A veto or an error with an id that no open decision took: late for a settled one, or nobody's."""

    row: Veto | OrderEvent


class OutcomeMatcher:
    """Open decisions and the live evidence that may decide them.

    All that it knows is in `state`, which it changes in place: a matcher of that state goes on where this one
    stopped. What else it holds is an index of it. `owns` tells of the decisions that were settled before.
    """

    def __init__(self, policy: ComparePolicy, state: OpenState, owns: IsAlreadySettled = _none_owns) -> None:
        self.state = state
        self.dropped: Counter[str] = Counter()
        self._policy = policy
        # How long evidence without an id may wait: an order that leads its decision by as much as it may is due
        # when that decision is.
        self._reach_s = 2 * policy.tolerance_s + policy.order_lead_s
        self._book = LiveOrderIndex(state, self._reach_s)
        self._vetoes = PendingRows[Veto](state.vetoes)
        self._errors = PendingRows[OrderEvent](state.errors)
        self._decisions = DecisionIndex(2 * policy.tolerance_s)
        waiting = (self._vetoes, self._errors)
        self._by_time = TimePairing(policy, state, self._book, waiting, self._decisions, owns)
        self._claimed_by: dict[str, OpenDecision] = {}
        self._forget_ts = 0.0
        # (when, what, its own time, its id or number): all that is due, in an order that no history changes.
        self._due: list[tuple[float, int, float, str, int]] = []
        for item in state.decisions.values():
            self._decisions.add(item)
            if item.order_key is not None:
                self._claimed_by[item.order_key] = item
            self._push(item)
        for key in state.orders:
            self._push_order(key)
        for number, veto in state.vetoes.items():
            self._push_row(_VETO, number, veto)
        for number, error in state.errors.items():
            self._push_row(_ERROR, number, error)

    # What comes in.

    def add_decision(self, decision: ShadowSide) -> None:
        """A shadow decision, at its as-of time. One that is open already is the same one."""
        if decision.decision_id in self.state.decisions:
            self.dropped[IgnoredRow.REPEATED_DECISION] += 1
            return
        item = OpenDecision(decision)
        self.state.decisions[decision.decision_id] = item
        self._decisions.add(item)
        # An order or a veto may be logged a little before its attempt.
        key = self._free_key(decision)
        if key is not None:
            self._claim(item, key)
        oldest_ts = decision.as_of - self._reach_s
        item.veto = self._vetoes.take_with_id(decision, oldest_ts)
        item.error = self._errors.take_with_id(decision, oldest_ts)
        self._schedule(item)

    def add_event(self, event: OrderEvent) -> None:
        """An order event, at its log time."""
        if event.lot_step is not None and event.symbol is not None:
            self.state.filters[event.symbol] = ExchangeFilter(event.lot_step, event.min_notional_usd)
        if event.kind is EventKind.CLOSE:
            return  # It repeats what its order's fills say.
        if event.kind is EventKind.ERROR:
            self._add_error(event)
            return
        for key in self._book.add(event, self._known_key(event)):
            owner = self._claimed_by.get(key) or self._claim_for(key)
            if owner is not None:
                self._schedule(owner)
            else:
                self._push_order(key)

    def add_arrival(self, arrival: Arrival) -> None:
        """An arrival price, at its log time. The first one of a decision holds: later ones are of later orders."""
        self.state.has_arrivals = True
        item = self._decisions.named(arrival.intent_id, arrival.attempt_id)
        if item is None:
            self.dropped[IgnoredRow.UNMATCHED_ARRIVAL] += 1
        elif item.arrival_price is None:
            item.arrival_price = arrival.price
            self._schedule(item)

    def add_veto(self, veto: Veto) -> None:
        """A live veto, at its log time."""
        item = self._decisions.named(veto.intent_id, veto.attempt_id)
        if item is None:
            self._push_row(_VETO, self._vetoes.add(veto), veto)
        elif item.veto is not None:
            self.dropped[IgnoredRow.REPEATED_VETO] += 1
        else:
            item.veto = veto
            self._schedule(item)

    def _add_error(self, error: OrderEvent) -> None:
        item = self._decisions.named(error.intent_id, error.attempt_id)
        if item is None:
            self._push_row(_ERROR, self._errors.add(error), error)
            return
        item.error = error
        self._schedule(item)

    # What comes out.

    def is_due(self, until: float) -> bool:
        """Whether `settle` would find anything."""
        return until >= self._forget_ts or (bool(self._due) and self._due[0][0] < until)

    def settle(self, until: float) -> Iterator[Settled | UnmatchedOrder | UnmatchedRow]:
        """Everything that is decided before `until` (epoch s), in the order in which it was.

        What was logged at a deadline itself is in time.
        """
        due, decisions = self._due, self.state.decisions
        while due and due[0][0] < until:
            due_ts, what, _, key, number = heappop(due)
            if what == _DECISION:
                item = decisions.get(key)
                # Else settled already, or due at another time since.
                if item is not None and item.ready_ts == due_ts and not self._waits_for_time_pairing(item):
                    self._close(item)
                    yield self._settled(item)
            elif what == _ORDER:
                if self._is_order_due(key, due_ts):
                    order = self._book.pop(key)
                    self._forget_unmatched(key)
                    yield UnmatchedOrder(order, outcome_of(order))
            elif what == _VETO:
                if number in self._vetoes.rows:
                    yield UnmatchedRow(self._vetoes.pop(number))
            elif number in self._errors.rows:
                yield UnmatchedRow(self._errors.pop(number))
        if until >= self._forget_ts:
            self.forget(until)

    def settle_ahead(self, now: float) -> Iterator[Settled]:
        """The decisions that evidence logged ahead of our clock has made final: what was logged has happened."""
        ahead = [item for item in self.state.decisions.values() if self._is_final_ahead(item, now)]
        for item in sorted(ahead, key=lambda item: (item.ready_ts, item.decision.as_of, item.decision.decision_id)):
            self._close(item)
            yield self._settled(item)

    def forget(self, until: float) -> None:
        """IgnoredRow the evidence without ids that can match nothing any more, and count it."""
        self._forget_ts = until + self._policy.tolerance_s
        oldest_ts = until - self._reach_s
        self.dropped[IgnoredRow.UNMATCHED_VETO] += self._vetoes.drop_without_id(oldest_ts)
        self.dropped[IgnoredRow.UNMATCHED_ERROR] += self._errors.drop_without_id(oldest_ts)
        self._book.forget(oldest_ts)

    # Pairing by id.

    def _known_key(self, event: OrderEvent) -> str | None:
        """The key of an event's order where the attempt tells it: attempts that share an intent have each their own."""
        if event.intent_id is None or event.attempt_id is None:
            return None
        items = self._decisions.of_intent(event.intent_id)
        if not items:
            return None
        attempt_id = own_attempt_id(event.attempt_id)
        for item in items:
            if item.decision.attempt_id == attempt_id:
                if item.order_key is not None or len(items) == 1:
                    return item.order_key
                return f"i:{event.intent_id}#{attempt_id}"
        return None

    def _claim_for(self, key: str) -> OpenDecision | None:
        """Give an order to the decision that it names, where that has none."""
        order = self.state.orders[key]
        item = self._decisions.named(order.intent_id, order.attempt_id)
        if item is None or item.order_key is not None:
            return None
        self._claim(item, key)
        return item

    def _free_key(self, decision: ShadowSide) -> str | None:
        """The key of an order that names the decision and is no other's; that of its intent first."""
        if decision.intent_id is not None:
            own_key = f"i:{decision.intent_id}"
            if own_key in self.state.orders and own_key not in self._claimed_by:
                return own_key
        if decision.attempt_id is not None:
            for key in self._book.of_attempt(decision.attempt_id):
                if key not in self._claimed_by:
                    return key
        return None

    def _claim(self, item: OpenDecision, key: str) -> None:
        order = self.state.orders[key]
        is_same_intent = order.intent_id is not None and order.intent_id == item.decision.intent_id
        item.order_key = key
        item.method = MatchMethod.INTENT_ID if is_same_intent else MatchMethod.ATTEMPT_ID
        self._claimed_by[key] = item
        self._forget_unmatched(key)

    def _forget_unmatched(self, key: str) -> None:
        self._by_time.unclaimed.pop(key, None)
        self.state.unmatched_orders.pop(key, None)

    # When.

    def _push(self, item: OpenDecision) -> None:
        decision = item.decision
        heappush(self._due, (item.ready_ts, _DECISION, decision.as_of, decision.decision_id, 0))

    def _push_order(self, key: str) -> None:
        if key in self._claimed_by:
            return
        order = self.state.orders[key]
        if order.has_id:
            self._by_time.unclaimed[key] = None
        heappush(self._due, (self._order_due_ts(key, order), _ORDER, order.first_ts, key, 0))

    def _push_row(self, what: int, number: int, row: Veto | OrderEvent) -> None:
        if has_id(row):
            heappush(self._due, (row.ts + self._reach_s, what, row.ts, "", number))

    def _order_due_ts(self, key: str, order: IntentOrders) -> float:
        waits_for_time = not order.has_id or key in self.state.unmatched_orders
        return order.first_ts + (self._reach_s if waits_for_time else self._policy.tolerance_s)

    def _is_order_due(self, key: str, due_ts: float) -> bool:
        order = self.state.orders.get(key)
        if order is None or key in self._claimed_by or self._order_due_ts(key, order) != due_ts:
            return False
        if order.has_id and key not in self.state.unmatched_orders and self._by_time.is_wanted(order):
            self.state.unmatched_orders[key] = None
            self._push_order(key)
            return False
        return True

    def _schedule(self, item: OpenDecision) -> None:
        ready_ts = self._ready_ts(item)
        if ready_ts != item.ready_ts:
            item.ready_ts = ready_ts
            self._push(item)

    def _ready_ts(self, item: OpenDecision) -> float:
        policy, decision = self._policy, item.decision
        deadline = decision.as_of + policy.tolerance_s
        if item.order_key is not None:
            order = self.state.orders[item.order_key]
            final_ts = final_ts_of(order, decision.is_reduce_only, policy.settle_grace_s)
            if final_ts is not None and self.state.has_arrivals and item.arrival_price is None:
                final_ts += policy.arrival_grace_s
            return deadline if final_ts is None or final_ts > deadline else final_ts
        if item.veto is not None:
            return min(deadline, item.veto.ts)
        if item.error is not None:
            return min(deadline, item.error.ts + policy.settle_grace_s)
        return deadline if decision.has_id else deadline + policy.tolerance_s

    def _is_final_ahead(self, item: OpenDecision, now: float) -> bool:
        if item.order_key is not None:
            order = self.state.orders[item.order_key]
            is_final, ts = final_ts_of(order, item.decision.is_reduce_only, 0.0) is not None, order.last_ts
        else:
            evidence = item.veto or item.error
            is_final, ts = evidence is not None, 0.0 if evidence is None else evidence.ts
        # What may follow soon is waited for as ever, unless the clock is so far behind that it would have followed.
        longest_s = self._policy.settle_grace_s + self._policy.arrival_grace_s
        return is_final and ts > now and (item.ready_ts <= ts or ts > now + longest_s)

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

    def _settled(self, item: OpenDecision) -> Settled:
        decision, key, method = item.decision, item.order_key, item.method
        if item.is_undecided:
            key = self._by_time.take_order(decision)
            method = MatchMethod.TIME if key is not None else None
        if key is not None:
            order = self._book.pop(key)
            self._claimed_by.pop(key, None)
            self._forget_unmatched(key)
            self._remember_late_fills(order, item)
            return self._result(item, order, outcome_of(order), method, reason_of(order, item.veto, item.error))
        refusal = item.veto or item.error or self._by_time.take_refusal(decision)
        if refusal is not None:
            outcome = LiveOutcome.VETOED if isinstance(refusal, Veto) else LiveOutcome.ERROR
            return self._result(item, None, outcome, method_of(refusal, decision), refusal.reason)
        return self._result(item, None, LiveOutcome.UNRESOLVED, None, None)

    def _result(
        self,
        item: OpenDecision,
        order: IntentOrders | None,
        outcome: LiveOutcome,
        method: MatchMethod | None,
        reason: str | None,
    ) -> Settled:
        exchange = self.state.filters.get(item.decision.symbol)
        return Settled(item.decision, order, outcome, method, reason, item.arrival_price, exchange, item.shares_intent)

    def _remember_late_fills(self, order: IntentOrders, item: OpenDecision) -> None:
        """Fills without ids that come after all must revise this decision, not be taken for another order."""
        if all(leg.is_final for leg in order.legs):
            return
        decision = item.decision
        owner = order if order.has_id else replace(order, intent_id=decision.intent_id, attempt_id=decision.attempt_id)
        if owner.has_id:
            for leg in order.legs:
                if not leg.is_final:
                    self._book.remember(leg.order_id, owner, item.ready_ts)
