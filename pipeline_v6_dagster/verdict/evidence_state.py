"""The evidence of one epoch: all that the criteria need of its diffs, in bounded space.

It is folded from diffs in the order of the compare log, so a history gives the same state however it is split into
runs. Whether a diff belongs to the epoch is decided by the number of its decision, or by the time of an order that no
decision explains; a revision of another epoch changes nothing.
"""

from dataclasses import dataclass, field

from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod, MismatchKind, ReduceLabel
from pipeline_v6_dagster.verdict.betting import DECISIONS_PER_BLOCK, BlockBet, upper_bound
from pipeline_v6_dagster.verdict.day_ranges import DayRanges
from pipeline_v6_dagster.verdict.failing_orders import FailingOrder, FailingOrders
from pipeline_v6_dagster.verdict.policy import MAX_SIZE_DIFFERENCE_RATIO, ORDERS_PER_BLOCK
from pipeline_v6_dagster.verdict.quantiles import LogHistogram
from pipeline_v6_dagster.verdict.reading_diffs import (
    agreement,
    asked_and_filled,
    decision_number,
    find_failing_id,
    find_failures,
    is_accepted_order,
    is_placed_by_v6,
    live_and_added,
    order_delay_s,
    order_usd,
    slice_names,
)
from pipeline_v6_dagster.verdict.slices import Slices

# Symbols counted one by one. Those beyond are counted together and are never covered.
MAX_SYMBOLS = 300
OTHER_SYMBOLS = "(other symbols)"
# The criterion that orders of v6 break which the rollout did not let it place.
WITHIN_ROLLOUT = "within_rollout"


@dataclass(slots=True)
class SymbolEvidence:
    """The decisions of one symbol, those that live executed, and the first on which the two sides disagreed."""

    decisions: int = 0
    executed: int = 0
    first_divergence: str | None = None


@dataclass(slots=True)
class PlacedEvidence:
    """The decisions whose orders v6 placed itself, those that were executed, and those on which the sides disagree."""

    decisions: int = 0
    executed: int = 0
    mismatches: int = 0


def _rate_bet() -> BlockBet:
    return BlockBet(length=DECISIONS_PER_BLOCK)


def _size_bet() -> BlockBet:
    return BlockBet(length=ORDERS_PER_BLOCK)


@dataclass(slots=True, kw_only=True)
class EpochEvidence:
    """The state of one epoch, which msgspec can store. It begins with decision `first_number`, at `since_ts` (epoch s).

    `scope` are the symbols that the verdict is about, empty for all. `decisions` are settled, not ignored and in scope;
    `ignored` are hidden by an ignore rule, `outside` are of other symbols, `by_v6` are those that v6 placed. Money is
    in units of 0.0001 USD.
    """

    first_number: int = 0
    since_ts: float | None = None
    scope: tuple[str, ...] = ()
    decisions: int = 0
    ignored: int = 0
    outside: int = 0
    unresolved: int = 0
    denied: int = 0
    denied_unresolved: int = 0
    matched: int = 0
    paired_by_time: int = 0
    executed: int = 0
    unsized: int = 0
    filled_orders: int = 0
    live_only: int = 0
    reducing: int = 0
    honest_labels: int = 0
    unknown_labels: int = 0
    samples: int = 0
    mismatches: int = 0
    sized: int = 0
    different_sizes: int = 0
    routed: int = 0
    route_mismatches: int = 0
    asked_units: int = 0
    filled_units: int = 0
    live_units: int = 0
    added_units: int = 0
    bet: BlockBet = field(default_factory=_rate_bet)
    size_bet: BlockBet = field(default_factory=_size_bet)
    slices: Slices = field(default_factory=Slices)
    slippage_bps: LogHistogram = field(default_factory=LogHistogram)
    delay_s: LogHistogram = field(default_factory=LogHistogram)
    days: DayRanges = field(default_factory=DayRanges)
    symbols: dict[str, SymbolEvidence] = field(default_factory=dict)
    by_v6: PlacedEvidence = field(default_factory=PlacedEvidence)
    failing_orders: dict[str, FailingOrders] = field(default_factory=dict)

    def add(self, diff: Diff) -> None:
        """Count a decision that was settled, or an order that no decision explains."""
        if self.is_member(diff):
            self._count(diff, 1)
            self._count_agreement(None, diff)

    def revise(self, before: Diff, after: Diff) -> None:
        """Count as `after` what was counted as `before`."""
        was, is_now = self.is_member(before), self.is_member(after)
        if was:
            self._count(before, -1)
        if is_now:
            self._count(after, 1)
            self._count_agreement(before if was else None, after)
        if was or is_now:
            self._keep_consistent()

    def is_member(self, diff: Diff) -> bool:
        """Whether a diff belongs to the epoch."""
        if diff.mismatch_kind is MismatchKind.LIVE_ONLY:
            return self.since_ts is not None and diff.ts >= self.since_ts
        number = decision_number(diff)
        return self.first_number == 0 if number is None else number >= self.first_number

    def is_counted(self, diff: Diff) -> bool:
        """Whether a diff of a decision is among `decisions`: of the epoch, in scope and not ignored."""
        if not self.is_member(diff) or diff.ignored_by is not None:
            return False
        return not self.scope or self._is_in_scope(diff)

    def count_failing(self, criterion: str) -> int:
        """How many orders break a critical criterion."""
        found = self.failing_orders.get(criterion)
        return 0 if found is None else found.count

    def mismatch_bound_pct(self, error_rate: float) -> float | None:
        """The upper bound of the mismatch rate by which `decisions_agree` is judged, percent; None without a sample."""
        if not self.samples:
            return None
        return 100 * upper_bound(self.bet.counts(), self.bet.length, error_rate)

    def _count(self, diff: Diff, sign: int) -> None:
        is_decision = diff.mismatch_kind is not MismatchKind.LIVE_ONLY
        if diff.outside_rollout is not None:
            # Neither scope nor ignore rule hides it: both are about live.
            self._count_failing(WITHIN_ROLLOUT, diff, sign)
        if is_decision and self.scope and not self._is_in_scope(diff):
            self.outside += sign
            return
        if diff.ignored_by is not None:
            self.ignored += sign * is_decision
            return
        for name in () if is_accepted_order(diff) else find_failures(diff):
            self._count_failing(name, diff, sign)
        if diff.reduce_label is not None:
            self.honest_labels += sign * (diff.reduce_label is ReduceLabel.HONEST)
            self.unknown_labels += sign * (diff.reduce_label is ReduceLabel.UNKNOWN)
        if is_decision:
            self._count_decision(diff, sign)
            self._count_placed(diff, sign)
        else:
            self.live_only += sign
            self.reducing += sign * (diff.is_reducing is True and diff.retries is None)

    def _count_failing(self, criterion: str, diff: Diff, sign: int) -> None:
        failing = FailingOrder(find_failing_id(diff), diff.symbol, diff.ts, order_usd(diff))
        found = self.failing_orders.setdefault(criterion, FailingOrders())
        (found.add if sign > 0 else found.remove)(failing)

    def _count_decision(self, diff: Diff, sign: int) -> None:
        self.decisions += sign
        symbol = self._symbol(diff)
        symbol.decisions += sign
        if sign > 0:
            self.days.add(diff.ts)
        is_unresolved = diff.live_outcome is LiveOutcome.UNRESOLVED
        self.unresolved += sign * is_unresolved
        if diff.shadow is not None and not diff.shadow.is_allowed:
            self.denied += sign
            self.denied_unresolved += sign * is_unresolved
        if diff.match_method is not None:
            self.matched += sign
            self.paired_by_time += sign * (diff.match_method is MatchMethod.TIME)
        if diff.live_outcome is LiveOutcome.EXECUTED:
            self.executed += sign
            symbol.executed += sign
            self.unsized += sign * diff.is_unsized
            self.filled_orders += sign * bool(diff.live is not None and diff.live.executed_qty)
        if diff.route_mismatch is not None:
            self.routed += sign
            self.route_mismatches += sign * diff.route_mismatch
        fill = asked_and_filled(diff)
        if fill is not None:
            self.asked_units += sign * fill[0]
            self.filled_units += sign * fill[1]
        exposure = live_and_added(diff)
        if exposure is not None:
            self.live_units += sign * exposure[0]
            self.added_units += sign * exposure[1]
        if diff.slippage_diff_bps is not None:
            self.slippage_bps.change(diff.slippage_diff_bps, sign)
        delay = order_delay_s(diff)
        if delay is not None:
            self.delay_s.change(delay, sign)

    def _count_placed(self, diff: Diff, sign: int) -> None:
        if is_placed_by_v6(diff):
            self.by_v6.decisions += sign
            self.by_v6.executed += sign * (diff.live_outcome is LiveOutcome.EXECUTED)
            self.by_v6.mismatches += sign * (agreement(diff) is True)

    def _count_agreement(self, before: Diff | None, after: Diff) -> None:
        """Count what the bets are about. A value keeps its place, also where it is evidence for nothing any more."""
        was, is_hit = self._agreement(before), self._agreement(after)
        was_different, is_different = self._size_differs(before), self._size_differs(after)
        number = decision_number(after)
        place = -1 if number is None else number
        self.samples += (is_hit is not None) - (was is not None)
        self.mismatches += (is_hit is True) - (was is True)
        if is_hit is not None:
            if was is None:
                self.bet.add(place, is_hit)
            elif was != is_hit:
                self.bet.revise(place, was, is_hit)
        if was is not None or is_hit is not None:
            self._note_divergence(after, is_hit)
            if was is None:
                self.slices.add(slice_names(after), is_hit is True)
            elif was != is_hit:
                self.slices.revise(slice_names(after), was, is_hit)
        self.sized += (is_different is not None) - (was_different is not None)
        self.different_sizes += (is_different is True) - (was_different is True)
        if is_different is not None:
            if was_different is None:
                self.size_bet.add(place, is_different)
            elif was_different != is_different:
                self.size_bet.revise(place, was_different, is_different)

    def _agreement(self, diff: Diff | None) -> bool | None:
        if diff is None or (self.scope and not self._is_in_scope(diff)):
            return None
        return agreement(diff)

    def _size_differs(self, diff: Diff | None) -> bool | None:
        """Whether the size of an executed order differs too much; None where it was not measured."""
        if diff is None or diff.sizing_diff_pct is None or not diff.is_executed_decision or diff.ignored_by is not None:
            return None
        if self.scope and not self._is_in_scope(diff):
            return None
        # NaN differs: it compares false with every limit.
        return not abs(diff.sizing_diff_pct) <= MAX_SIZE_DIFFERENCE_RATIO

    def _note_divergence(self, diff: Diff, is_hit: bool | None) -> None:
        symbol = self._symbol(diff)
        if is_hit and symbol.first_divergence is None:
            symbol.first_divergence = diff.decision_id
        elif not is_hit and symbol.first_divergence is not None and symbol.first_divergence == diff.decision_id:
            symbol.first_divergence = None

    def _symbol(self, diff: Diff) -> SymbolEvidence:
        name = diff.symbol or OTHER_SYMBOLS
        found = self.symbols.get(name)
        if found is None:
            if len(self.symbols) >= MAX_SYMBOLS:
                name = OTHER_SYMBOLS
            found = self.symbols.setdefault(name, SymbolEvidence())
        return found

    def _is_in_scope(self, diff: Diff) -> bool:
        """Also where live sent the order of a decision outside the scope to a symbol inside it."""
        live_symbol = diff.live.symbol if diff.live is not None else None
        return diff.symbol in self.scope or live_symbol in self.scope

    def _keep_consistent(self) -> None:
        """No count falls below 0 and no part is above its whole, whatever a revision claims to have been."""
        for part, whole in _PARTS:
            count = max(0, getattr(self, part))
            setattr(self, part, count if whole is None else min(count, getattr(self, whole)))


# Each count and what it is a part of, wholes first.
_PARTS = (
    ("decisions", None),
    ("ignored", None),
    ("outside", None),
    ("live_only", None),
    ("honest_labels", None),
    ("unknown_labels", None),
    ("asked_units", None),
    ("live_units", None),
    ("added_units", None),
    ("unresolved", "decisions"),
    ("denied", "decisions"),
    ("denied_unresolved", "denied"),
    ("matched", "decisions"),
    ("executed", "decisions"),
    ("samples", "decisions"),
    ("sized", "decisions"),
    ("routed", "decisions"),
    ("paired_by_time", "matched"),
    ("unsized", "executed"),
    ("filled_orders", "executed"),
    ("reducing", "live_only"),
    ("mismatches", "samples"),
    ("different_sizes", "sized"),
    ("route_mismatches", "routed"),
    ("filled_units", "asked_units"),
)
