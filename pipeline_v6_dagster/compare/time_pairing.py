"""Which evidence time alone gives a decision that no id has paired.

Evidence may carry ids that no decision has: it is a candidate all the same, unless one of its ids contradicts the
decision's or is that of a decision that was settled before. Which pairing is the best is `compare.pairing`; when a
decision asks is `compare.settlement`.
"""

from collections.abc import Callable, Iterable

from pipeline_v6_dagster.compare.evidence import has_other_id
from pipeline_v6_dagster.compare.live_order_index import LiveOrderIndex
from pipeline_v6_dagster.compare.open_decisions import DecisionIndex
from pipeline_v6_dagster.compare.open_state import OpenState, PairingKey, pairing_key
from pipeline_v6_dagster.compare.pairing import first_partner
from pipeline_v6_dagster.compare.pending_rows import PendingRows, has_id
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import ComparePolicy, ShadowSide
from pipeline_v6_dagster.domain.live import IntentOrders, OrderEvent, Veto

# Whether a decision that is settled carries (intent id, attempt id), for evidence of that log time (epoch s).
IsAlreadySettled = Callable[[str | None, str | None, float], bool]


class TimePairing:
    """What time may pair, over the indexes of a matcher and in its state.

    `unclaimed` are the keys of the orders whose ids no decision carries so far. Those that wait for
    time stand in the state's `unmatched_orders`: only they may pair, because no id can claim them any more.
    """

    def __init__(
        self,
        policy: ComparePolicy,
        state: OpenState,
        book: LiveOrderIndex,
        refusals: tuple[PendingRows[Veto], PendingRows[OrderEvent]],
        decisions: DecisionIndex,
        owns: IsAlreadySettled,
    ) -> None:
        self.unclaimed: dict[str, None] = {}
        self._policy = policy
        self._state = state
        self._book = book
        self._vetoes, self._errors = refusals
        self._decisions = decisions
        self._owns = owns

    def has_candidate(self, decision: ShadowSide) -> bool:
        """Whether anything is there that time might give the decision."""
        candidates = (
            *self._book.free_orders(decision),
            *self._fitting(decision, self.unclaimed),
            *self._vetoes.candidates(decision),
            *self._errors.candidates(decision),
        )
        return any(self._is_near(ts - decision.as_of) for ts, _ in candidates)

    def is_wanted(self, order: IntentOrders) -> bool:
        """Whether an order with ids that no open decision carries may be that of an open decision all the same."""
        first_ts = order.first_ts
        return (
            any(
                self._is_near(first_ts - decision.as_of) and not has_other_id(order, decision)
                for decision in self._decisions.undecided(_stream_of_order(order))
            )
            and self._decisions.find(order.intent_id, order.attempt_id) is None
            and not self._owns(order.intent_id, order.attempt_id, first_ts)
        )

    def take_order(self, decision: ShadowSide) -> str | None:
        """The key of the decision's order; None where time gives it none."""
        orders = self._book.free_orders(decision)
        unmatched_orders = self._state.unmatched_orders
        if unmatched_orders:
            orders = sorted([*orders, *self._fitting(decision, unmatched_orders)])
        if not orders:
            return None
        competing_decisions = self._decisions.competing_decisions(decision, [pairing_key(decision)])
        live = [self._state.orders[key] for _, key in orders]
        index = first_partner(
            [rival.as_of for rival in competing_decisions],
            [first_ts for first_ts, _ in orders],
            self._policy.tolerance_s,
            self._policy.order_lead_s,
            lambda i, j: not has_other_id(live[j], competing_decisions[i]),
        )
        return None if index is None else orders[index][1]

    def take_refusal(self, decision: ShadowSide) -> Veto | OrderEvent | None:
        """The veto or error that is the decision's, taken out. One without a side may be of either side's."""
        found = sorted(
            [(ts, True, number) for ts, number in self._vetoes.candidates(decision)]
            + [(ts, False, number) for ts, number in self._errors.candidates(decision)]
        )
        rows: list[Veto | OrderEvent] = []
        numbers: list[tuple[bool, int]] = []
        for ts, is_veto, number in found:
            row = self._vetoes.rows[number] if is_veto else self._errors.rows[number]
            if not has_id(row) or not self._owns(row.intent_id, row.attempt_id, ts):
                rows.append(row)
                numbers.append((is_veto, number))
        if not rows:
            return None
        streams = [(decision.symbol, side, reduces) for side in (*Side, None) for reduces in (False, True)]
        competing_decisions = self._decisions.competing_decisions(decision, streams)
        index = first_partner(
            [rival.as_of for rival in competing_decisions],
            [row.ts for row in rows],
            self._policy.tolerance_s,
            self._policy.order_lead_s,
            lambda i, j: (
                rows[j].side in (None, competing_decisions[i].side)
                and not has_other_id(rows[j], competing_decisions[i])
            ),
        )
        if index is None:
            return None
        is_veto, number = numbers[index]
        return self._vetoes.pop(number) if is_veto else self._errors.pop(number)

    def _is_near(self, gap_s: float) -> bool:
        return -self._policy.order_lead_s <= gap_s <= self._policy.tolerance_s

    def _fitting(self, decision: ShadowSide, keys: Iterable[str]) -> list[tuple[float, str]]:
        """(first log time, key) of those orders with ids that are of the decision's stream and may be its own."""
        if not keys or (decision.intent_id is not None and decision.attempt_id is not None):
            return []  # Whatever id an order carries, the decision has another one.
        stream = pairing_key(decision)
        orders = self._state.orders
        return [
            (orders[key].first_ts, key)
            for key in keys
            if _stream_of_order(orders[key]) == stream and not has_other_id(orders[key], decision)
        ]


def _stream_of_order(order: IntentOrders) -> PairingKey:
    return order.symbol, order.side, all(leg.is_reduce_only for leg in order.legs)
