"""Which live order an event is of, where the executor's own ids do not simply say so.

Order ids repeat, fills come without ids or before their ack. Which decision an order belongs to is
`compare.settlement`.
"""

from dataclasses import replace

from pipeline_v6_dagster.compare.folding import adopt_order, fold_event, group_key, start_order
from pipeline_v6_dagster.compare.open_state import FillOwner, OpenState
from pipeline_v6_dagster.domain.live import ENDED, EventKind, LiveOrder, OrderEvent


class OrderBook:
    """The open orders of a state, changed in place.

    `reach_s` is how long after the last fill without ids another one is taken to be of the same order.
    """

    def __init__(self, state: OpenState, reach_s: float) -> None:
        self._state = state
        self._reach_s = reach_s

    def add(self, event: OrderEvent) -> list[str]:
        """Fold an event into its order. Keys of the orders that changed, that of the event's own last."""
        event = self._with_owner(event)
        key = group_key(event)
        changed = self._set_aside(key, event)
        order = self._state.orders.get(key)
        if order is None:
            order = self._state.orders[key] = start_order(event)
        else:
            fold_event(order, event)
        self._adopt_early_fill(order, event)
        return [*changed, key]

    def remember(self, order_id: str, order: LiveOrder, ts: float) -> None:
        """Fills of this order id without ids are of this order, also once it is settled."""
        self._state.fill_owners[order_id] = FillOwner(order.symbol, order.intent_id, order.attempt_id, ts)

    def forget(self, oldest_ts: float) -> None:
        """Drop what was remembered and is older."""
        owners = self._state.fill_owners
        for order_id in [order_id for order_id, owner in owners.items() if owner.ts < oldest_ts]:
            del owners[order_id]

    def _with_owner(self, event: OrderEvent) -> OrderEvent:
        """A fill that carries no id takes those of the newest order of its order id, also of a settled one."""
        if event.kind is not EventKind.FILL or event.intent_id is not None or event.attempt_id is not None:
            return event
        orders = self._state.orders
        if group_key(event) in orders:
            return event
        open_ones = [
            (leg.first_ts, key)
            for key, order in orders.items()
            for leg in order.legs
            if leg.order_id == event.order_id and order.has_id and order.symbol in (None, event.symbol)
        ]
        if open_ones:
            self.remember(event.order_id, orders[max(open_ones)[1]], event.ts)
        owner = self._state.fill_owners.get(event.order_id)
        if owner is None or owner.symbol not in (None, event.symbol) or owner.ts < event.ts - self._reach_s:
            return event
        owner.ts = event.ts
        return replace(event, intent_id=owner.intent_id, attempt_id=owner.attempt_id)

    def _set_aside(self, key: str, event: OrderEvent) -> list[str]:
        """An order id that comes again once its order is over names a new one; the older gets another key."""
        orders = self._state.orders
        known = orders.get(key)
        if known is None or known.has_id or event.kind is EventKind.FILL or event.ts <= known.last_ts:
            return []
        if known.legs[0].status not in ENDED or known.legs[0].first_ack_ts is None:
            return []
        older_key = f"{key}@{known.first_ts!r}"
        orders[older_key] = orders.pop(key)
        return [older_key]

    def _adopt_early_fill(self, order: LiveOrder, event: OrderEvent) -> None:
        """A fill may be logged before the ack that tells its intent."""
        if event.kind is not EventKind.ACK or not order.has_id:
            return
        for key, other in self._state.orders.items():
            leg = other.legs[0]
            is_early_fill = not other.has_id and leg.order_id == event.order_id and leg.first_ack_ts is None
            if is_early_fill and order.symbol in (None, other.symbol) and other.side in (None, order.side):
                adopt_order(order, other)
                del self._state.orders[key]
                self.remember(event.order_id, order, event.ts)
                return
