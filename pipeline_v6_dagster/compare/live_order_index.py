"""Which live order an event is of, where the executor's own ids do not simply say so.

Order ids repeat, fills come without ids or before their ack, several attempts share an intent. Which decision an
order belongs to is `compare.settlement`.
"""

from dataclasses import replace
from typing import Any

from pipeline_v6_dagster.compare.folding import adopt_order, fold_event, group_key, start_order
from pipeline_v6_dagster.compare.live_market import LiveMarket
from pipeline_v6_dagster.compare.open_state import FillOwner, OpenState, PairingKey, pairing_key
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.live import ACK, ENDED, FILL, IntentOrders, OrderEvent

_NO_KEYS: dict[str, None] = {}


class LiveOrderIndex:
    """The open orders of a state, changed in place, and what finds each of them in one look.

    `reach_s` is how long after the last fill without ids another one is taken to be of the same order.
    """

    def __init__(self, state: OpenState, reach_s: float) -> None:
        self._state = state
        self._reach_s = reach_s
        self._market = LiveMarket(state)
        # Orders with an id by the order ids of their legs and by attempt, those without by stream and order id.
        self._by_order_id: dict[str, dict[str, None]] = {}
        self._by_attempt: dict[str, dict[str, None]] = {}
        self._free: dict[PairingKey, dict[str, None]] = {}
        self._early: dict[str, dict[str, None]] = {}
        for key, order in state.orders.items():
            self._index(key, order)

    def add(self, event: OrderEvent, key: str | None = None) -> tuple[str, ...]:
        """Fold an event into its order. Keys of the orders that changed, that of the event's own last.

        `key` names the order where that is known already.
        """
        if event.kind is FILL and event.intent_id is None and event.attempt_id is None:
            event = self._with_owner(event)
        if key is None:
            key = group_key(event)
        orders = self._state.orders
        order = orders.get(key)
        changed: tuple[str, ...] = (key,)
        if order is not None and not order.has_id and self._is_over(order, event):
            # An order id that comes again once its order is over names a new one; the older gets another key.
            older_key = f"{key}@{order.first_ts!r}"
            self.pop(key)
            orders[older_key] = order
            self._index(older_key, order)
            changed = (older_key, key)
            order = None
        known_legs = 0
        if order is None:
            order = orders[key] = start_order(event)
            leg = order.legs[0]
            self._index(key, order)
        elif order.intent_id is None and order.attempt_id is None:
            known_legs = len(order.legs)
            self._unindex(key, order)
            leg = fold_event(order, event)
            self._index(key, order)
        else:
            known_legs = len(order.legs)
            leg = fold_event(order, event)
            if len(order.legs) > known_legs:
                self._by_order_id.setdefault(event.order_id, {})[key] = None
        self._market.apply(event, order, leg, is_first=len(order.legs) > known_legs)
        if event.kind is ACK and event.order_id in self._early:
            self._adopt_early_fill(key, order, event)
        return changed

    def pop(self, key: str) -> IntentOrders:
        """Take an order out."""
        order = self._state.orders.pop(key)
        self._unindex(key, order)
        return order

    def find_by_attempt(self, attempt_id: str) -> dict[str, None]:
        """Keys of the orders with ids that carry this attempt, oldest first."""
        return self._by_attempt.get(attempt_id, _NO_KEYS)

    def free_orders(self, decision: ShadowSide) -> list[tuple[float, str]]:
        """(first log time, key) of the orders without an id on the decision's stream, oldest first."""
        orders = self._state.orders
        return sorted((orders[key].first_ts, key) for key in self._free.get(pairing_key(decision), ()))

    def remember(self, order_id: str, order: IntentOrders, ts: float) -> None:
        """Fills of this order id without ids are of this order, also once it is settled."""
        self._state.fill_owners[order_id] = FillOwner(order.symbol, order.intent_id, order.attempt_id, ts)

    def remember_open_legs(self, order: IntentOrders, decision: ShadowSide, ts: float) -> None:
        """Fills without ids that come after all must revise this decision, not be taken for another order."""
        owner = order if order.has_id else replace(order, intent_id=decision.intent_id, attempt_id=decision.attempt_id)
        if owner.has_id:
            for leg in order.legs:
                if not leg.is_final:
                    self.remember(leg.order_id, owner, ts)

    def forget(self, oldest_ts: float) -> None:
        """Forget what is older."""
        owners = self._state.fill_owners
        for order_id in [order_id for order_id, owner in owners.items() if owner.ts < oldest_ts]:
            del owners[order_id]

    def _with_owner(self, event: OrderEvent) -> OrderEvent:
        """A fill that carries no id takes those of the newest order of its order id, also of a settled one."""
        orders = self._state.orders
        if group_key(event) in orders:
            return event
        open_ones = [
            (leg.first_ts, key)
            for key in self._by_order_id.get(event.order_id, ())
            for leg in orders[key].legs
            if leg.order_id == event.order_id and orders[key].symbol in (None, event.symbol)
        ]
        if open_ones:
            self.remember(event.order_id, orders[max(open_ones)[1]], event.ts)
        owner = self._state.fill_owners.get(event.order_id)
        if owner is None or owner.symbol not in (None, event.symbol) or owner.ts < event.ts - self._reach_s:
            return event
        owner.ts = event.ts
        return replace(event, intent_id=owner.intent_id, attempt_id=owner.attempt_id)

    def _is_over(self, order: IntentOrders, event: OrderEvent) -> bool:
        if event.kind is FILL or event.ts <= order.last_ts:
            return False
        return order.legs[0].status in ENDED and order.legs[0].first_ack_ts is not None

    def _adopt_early_fill(self, key: str, order: IntentOrders, event: OrderEvent) -> None:
        """A fill may be logged before the ack that tells its intent."""
        if not order.has_id:
            return
        for early_key in self._early[event.order_id]:
            other = self._state.orders[early_key]
            if order.symbol in (None, other.symbol) and other.side in (None, order.side):
                self.pop(early_key)
                self._unindex(key, order)
                adopt_order(order, other)
                self._index(key, order)
                self.remember(event.order_id, order, event.ts)
                return

    def _index(self, key: str, order: IntentOrders) -> None:
        for index, name in self._places(order):
            index.setdefault(name, {})[key] = None

    def _unindex(self, key: str, order: IntentOrders) -> None:
        for index, name in self._places(order):
            keys = index.get(name)
            if keys is None:
                continue  # An order may have two legs of one order id.
            keys.pop(key, None)
            if not keys:
                del index[name]

    def _places(self, order: IntentOrders) -> list[tuple[dict[Any, dict[str, None]], str | PairingKey]]:
        if order.has_id:
            places: list[tuple[dict[Any, dict[str, None]], str | PairingKey]] = [
                (self._by_order_id, leg.order_id) for leg in order.legs
            ]
            if order.attempt_id is not None:
                places.append((self._by_attempt, order.attempt_id))
            return places
        leg = order.legs[0]
        places = [(self._free, (order.symbol, order.side, leg.is_reduce_only))]
        if leg.first_ack_ts is None:
            places.append((self._early, leg.order_id))
        return places
