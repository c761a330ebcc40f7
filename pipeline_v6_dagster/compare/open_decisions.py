"""The open decisions, found by what may name them: intent, attempt, stream.

Which evidence a decision takes is `compare.settlement`.
"""

from collections.abc import Sequence

from pipeline_v6_dagster.compare.folding import own_attempt_id
from pipeline_v6_dagster.compare.open_state import OpenDecision, PairingKey, pairing_key
from pipeline_v6_dagster.domain.comparison import ShadowSide


class DecisionIndex:
    """An index of open decisions. `horizon_s` is how far ahead a decision has competing_decisions."""

    def __init__(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._by_intent: dict[str, list[OpenDecision]] = {}
        self._by_attempt: dict[str, list[OpenDecision]] = {}
        self._by_stream: dict[PairingKey, dict[str, OpenDecision]] = {}

    def add(self, item: OpenDecision) -> None:
        """Index a decision; where others are open for its intent, all of them are marked."""
        decision = item.decision
        if decision.intent_id is not None:
            siblings = self._by_intent.setdefault(decision.intent_id, [])
            siblings.append(item)
            if len(siblings) > 1 and decision.amends is None:  # An amendment is no duplicate.
                for sibling in siblings:
                    sibling.shares_intent = True
        if decision.attempt_id is not None:
            self._by_attempt.setdefault(decision.attempt_id, []).append(item)
        self._by_stream.setdefault(pairing_key(decision), {})[decision.decision_id] = item

    def remove(self, item: OpenDecision) -> None:
        """Forget a decision."""
        decision = item.decision
        del self._by_stream[pairing_key(decision)][decision.decision_id]
        for index, key in ((self._by_intent, decision.intent_id), (self._by_attempt, decision.attempt_id)):
            if key is not None:
                others = index[key]
                if len(others) == 1:
                    del index[key]
                else:
                    index[key] = [other for other in others if other is not item]

    def find_by_intent(self, intent_id: str) -> Sequence[OpenDecision]:
        """The decisions of an intent, oldest first."""
        return self._by_intent.get(intent_id, ())

    def find(self, intent_id: str | None, attempt_id: str | None) -> OpenDecision | None:
        """The open decision that ids name; of several of one intent that of the attempt, else the newest free one."""
        own_attempt = own_attempt_id(attempt_id)
        items = self._by_intent.get(intent_id, ()) if intent_id is not None else ()
        for item in items:
            if own_attempt is not None and item.decision.attempt_id == own_attempt:
                return item
        if items:
            return next((item for item in reversed(items) if item.order_key is None), items[-1])
        by_attempt = self._by_attempt.get(own_attempt, ()) if own_attempt is not None else ()
        return by_attempt[-1] if by_attempt else None

    def undecided(self, stream: PairingKey) -> list[ShadowSide]:
        """The decisions of a stream that no id has paired."""
        return [item.decision for item in self._by_stream.get(stream, {}).values() if item.is_undecided]

    def competing_decisions(self, decision: ShadowSide, streams: Sequence[PairingKey]) -> list[ShadowSide]:
        """The decision, then the others of the streams that may want the same evidence, by time.

        What the best pairing leaves for later decisions cannot cross: two pairs that cross within the tolerance would
        be as many and no farther apart the other way round.
        """
        as_of = decision.as_of
        until = as_of + self._horizon_s
        competing_decisions = [
            other.decision
            for stream in streams
            for other in self._by_stream.get(stream, {}).values()
            if as_of <= other.decision.as_of <= until and other.is_undecided
        ]
        return [decision, *sorted(competing_decisions, key=lambda rival: (rival.as_of, rival.decision_id))]
