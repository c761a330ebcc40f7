"""Which decision an order belongs to where ids say so, and which order an amended decision leaves to its amendment.

An attempt that amends another replaces what that one asked for from its time on. Its first ack hands the order over:
the amended decision keeps what was known of the order until then, the amendment has it from there on.
"""

from pipeline_v6_dagster.compare.folding import copy_order, find_leg, group_key, own_attempt_id, starts_order
from pipeline_v6_dagster.compare.live_order_index import LiveOrderIndex
from pipeline_v6_dagster.compare.open_decisions import DecisionIndex
from pipeline_v6_dagster.compare.open_state import OpenDecision, OpenState
from pipeline_v6_dagster.domain.comparison import MatchMethod, ShadowSide
from pipeline_v6_dagster.domain.live import REDUCE_SUFFIX, IntentOrders, OrderEvent


class IdPairing:
    """The pairs that ids make, over the indexes of a matcher and in its state."""

    def __init__(self, state: OpenState, book: LiveOrderIndex, decisions: DecisionIndex) -> None:
        self._state = state
        self._book = book
        self._decisions = decisions
        self._claimed_by: dict[str, OpenDecision] = {}
        # Open amendments by the ids that they replace, the newest of each.
        self._amendments: dict[str, OpenDecision] = {}

    def restore(self, item: OpenDecision) -> None:
        """Index an open decision of the state."""
        if item.order_key is not None:
            self._claimed_by[item.order_key] = item
        for replaced in item.replaces:
            self._amendments[replaced] = item

    def owner(self, key: str) -> OpenDecision | None:
        """The decision that an order is paired with."""
        return self._claimed_by.get(key)

    def release(self, key: str) -> None:
        """Forget the pair of an order that was settled."""
        self._claimed_by.pop(key, None)

    def forget(self, item: OpenDecision) -> None:
        """Forget a decision that was settled as an amendment."""
        for replaced in item.replaces:
            if self._amendments.get(replaced) is item:
                del self._amendments[replaced]

    def find_key(self, event: OrderEvent) -> str | None:
        """The key of an event's order where the attempt tells it: attempts that share an intent have each their own."""
        if self._amendments:
            amendment = self._find_amendment(event)
            if amendment is not None:
                return self._amended_key(event, amendment)
        if event.intent_id is None or event.attempt_id is None:
            return None
        items = self._decisions.find_by_intent(event.intent_id)
        if not items:
            return None
        attempt_id = event.attempt_id.removesuffix(REDUCE_SUFFIX)
        for item in items:
            if item.decision.attempt_id == attempt_id:
                if item.order_key is not None or len(items) == 1:
                    return item.order_key
                return f"i:{event.intent_id}#{attempt_id}"
        return None

    def claim_for(self, key: str) -> OpenDecision | None:
        """Give an order to the decision that it names, where that has none."""
        order = self._state.orders[key]
        item = self._decisions.find(order.intent_id, order.attempt_id)
        if self._amendments:
            amendment = self._amendments.get(order.intent_id or "") or self._amendments.get(order.attempt_id or "")
            if amendment is not None and _is_carried_out(order, amendment):
                item = amendment
            elif item is not None and item.replaces and not _is_carried_out(order, item):
                item = None  # What comes late of an order that was settled before it was amended.
        if item is None or item.order_key is not None or item.superseded is not None:
            return None
        self.claim(item, key)
        return item

    def find_free_key(self, decision: ShadowSide) -> str | None:
        """The key of an order that names the decision and is no other's; that of its intent first."""
        if decision.intent_id is not None:
            own_key = f"i:{decision.intent_id}"
            if own_key in self._state.orders and own_key not in self._claimed_by:
                return own_key
        if decision.attempt_id is not None:
            for key in self._book.find_by_attempt(decision.attempt_id):
                if key not in self._claimed_by:
                    return key
        return None

    def claim(self, item: OpenDecision, key: str) -> None:
        """Pair an order with a decision."""
        order = self._state.orders[key]
        is_same_intent = order.intent_id is not None and order.intent_id == item.decision.intent_id
        is_amended = order.intent_id is not None and order.intent_id in item.replaces
        item.order_key = key
        item.method = MatchMethod.INTENT_ID if is_same_intent or is_amended else MatchMethod.ATTEMPT_ID
        self._claimed_by[key] = item

    def amend(self, item: OpenDecision) -> None:
        """A decision that amends another one has come. Acks from here on are held against it."""
        amended_id = item.decision.amends
        if amended_id is None:
            return
        replaces = {amended_id: None}
        amended = (
            self._amendments.get(amended_id)
            or self._decisions.find(amended_id, None)
            or self._decisions.find(None, amended_id)
        )
        if amended is not None and amended is not item:
            decision = amended.decision
            ids = (decision.intent_id, decision.attempt_id, *amended.replaces)
            replaces |= dict.fromkeys(one for one in ids if one is not None)
        item.replaces = tuple(replaces)
        for replaced in item.replaces:
            self._amendments[replaced] = item

    def hand_over(self, event: OrderEvent, key: str | None) -> OpenDecision | None:
        """Before an ack is folded: give its order to the amendment that it carries out. Returns who had it before."""
        if not self._amendments or not starts_order(event):
            return None
        amendment = self._find_amendment(event)
        if amendment is None or amendment.order_key is not None or event.ts < amendment.decision.as_of:
            return None
        held_key = key or group_key(event)
        before = self._claimed_by.get(held_key)
        if before is None or before is amendment:
            return None
        order = self._state.orders[held_key]
        known = find_leg(order, event)
        if known is not None and known.first_ack_ts == event.ts:
            return None  # A repeated line.
        before.superseded, before.order_key = copy_order(order), None
        before.superseded_ts = event.ts
        if known is not None:
            known.requested_qty = None
        self.claim(amendment, held_key)
        return before

    def _find_amendment(self, event: OrderEvent) -> OpenDecision | None:
        """The newest open amendment that an event names: by its own ids, else by those that it replaces."""
        attempt_id = own_attempt_id(event.attempt_id)
        for one in (event.intent_id, attempt_id):
            if one is not None and one in self._amendments:
                return self._amendments[one]
        named = self._decisions.find(event.intent_id, attempt_id)
        return named if named is not None and named.replaces else None

    def _amended_key(self, event: OrderEvent, amendment: OpenDecision) -> str | None:
        """The order that an amendment has or is about to have, so that its rows meet those of the amended one."""
        if amendment.order_key is not None:
            return amendment.order_key
        for replaced in amendment.replaces:
            for key in (f"i:{replaced}", *self._book.find_by_attempt(replaced)):
                if key in self._state.orders:
                    return key
        return None


def _is_carried_out(order: IntentOrders, amendment: OpenDecision) -> bool:
    acked_ts = order.legs[-1].first_ack_ts
    return acked_ts is not None and acked_ts >= amendment.decision.as_of
