"""A decision beside what live did: the two sides, how they were paired, how far apart they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline_v6_dagster.domain.attempt import PositionSide, Side
from pipeline_v6_dagster.domain.live import Leg


class LiveOutcome(StrEnum):
    """What became of an attempt on the live side."""

    EXECUTED = "executed"
    VETOED = "vetoed"
    ERROR = "error"
    UNRESOLVED = "unresolved"


class MismatchKind(StrEnum):
    """How the two sides agree. LIVE_ONLY is an order that no decision explains; it is not a sample."""

    MATCH = "match"
    MATCH_VETO = "match_veto"
    SHADOW_ALLOWED_LIVE_ABSENT = "shadow_allowed_live_absent"
    SHADOW_VETOED_LIVE_EXECUTED = "shadow_vetoed_live_executed"
    OPPOSITE_SIDE = "opposite_side"
    WRONG_SYMBOL = "wrong_symbol"
    LIVE_UNKNOWN = "live_unknown"
    LIVE_ONLY = "live_only"


class ReduceLabel(StrEnum):
    """Whether a live order labelled reduce-only only reduced. UNKNOWN where the position was not known."""

    HONEST = "honest"
    EXCEEDED = "exceeded"
    UNKNOWN = "unknown"


class MatchMethod(StrEnum):
    """What paired the two sides."""

    INTENT_ID = "intent_id"
    ATTEMPT_ID = "attempt_id"
    TIME = "time"


class RootCause(StrEnum):
    """Why a decision and an order differ. Closed; `UNEXPLAINED` is the one to drive down."""

    SHADOW_RULE = "shadow_rule"
    NAV_STALE = "nav_stale"
    LIVE_VETO = "live_veto"
    LIVE_ERROR = "live_error"
    CONFIG_CHANGED = "config_changed"
    MIN_NOTIONAL_LIFT = "min_notional_lift"
    LOT_ROUNDING = "lot_rounding"
    FLIP_LEG = "flip_leg"
    PARTIAL_FILL = "partial_fill"
    PRICE_MOVED = "price_moved"
    LATE = "late"
    DUPLICATE = "duplicate"
    UNRESOLVED = "unresolved"
    NO_DECISION = "no_decision"
    UNEXPLAINED = "unexplained"


@dataclass(slots=True, kw_only=True)
class ShadowSide:
    """What compare needs of a shadow row. Quantities in the base asset, money in USD, times epoch s.

    Sizes are magnitudes, whatever their sign in the row, and a price is above 0.

    `sized_qty` and `sized_gross_usd` are None where the shadow did not size the order; `asked_qty` is what the attempt
    asked for. `number` counts the decisions of the shadow log, in its order, from 0. `amends` is the intent or attempt
    id that the attempt replaces.
    """

    decision_id: str
    symbol: str
    side: Side | None
    intent_id: str | None
    attempt_id: str | None
    as_of: float
    is_allowed: bool
    reasons: tuple[str, ...]
    is_reduce_only: bool
    price: float | None
    quote_notional: float | None
    sized_qty: float | None
    sized_gross_usd: float | None
    expected_slippage_bps: float | None
    route: str | None
    config_hash: str | None
    tier: str | None = None
    engine_version: str | None = None
    nav_usd: float | None = None
    amends: str | None = None
    position_side: PositionSide | None = None
    number: int | None = None
    asked_qty: float | None = None

    @property
    def held_side(self) -> PositionSide | None:
        """The position that the order changes: opening BUYs and reducing SELLs are LONG, the others SHORT."""
        if self.side is None:
            return None
        return PositionSide.LONG if (self.side is Side.BUY) is not self.is_reduce_only else PositionSide.SHORT

    @property
    def has_id(self) -> bool:
        """Whether an id can pair it."""
        return self.intent_id is not None or self.attempt_id is not None

    @property
    def gross_usd(self) -> float | None:
        """What live is measured against: the sized gross, else what was asked for (also where it was denied)."""
        return self.sized_gross_usd or self.quote_notional


@dataclass(slots=True, kw_only=True)
class LiveSide:
    """What compare says of the live side of one decision. None: not measured.

    Sizes are of the opening legs only, except for a reduce-only intent; `legs` holds all of them. `arrival_price` is
    where the market stood when the order was sent; `route` is `mixed` where the legs went different ways.
    """

    legs: tuple[Leg, ...]
    requested_qty: float | None
    executed_qty: float | None
    avg_price: float | None
    executed_gross_usd: float | None
    gross_usd: float | None
    fees_usd: float | None
    first_ack_ts: float | None
    last_fill_ts: float | None
    status: str | None
    reason: str | None
    arrival_price: float | None = None
    route: str | None = None
    symbol: str | None = None
    side: Side | None = None
    position_side: PositionSide | None = None


@dataclass(slots=True, kw_only=True)
class Shortfall:
    """Implementation shortfall in parts, USD, positive where it cost; None where not measured (`compare.shortfall`).

    `total_bps` is the sum over what the decision was worth.
    """

    delay_usd: float | None
    execution_usd: float | None
    fees_usd: float | None
    opportunity_usd: float | None
    total_usd: float | None
    total_bps: float | None


@dataclass(slots=True, kw_only=True)
class Diff:
    """One settled decision, or one live order that no decision explains. Null means not measured.

    `root_cause` is of the mismatch where there is one, else of the size; `cause_detail` is the rule or the reason that
    it names; `upsize_cause` is of the size alone. `mismatch_usd` is what a veto mismatch put or left on, 0 where both
    sides agree. `route_mismatch` tells that live went another way than v6 would have. `ignored_by` names the ignore
    rule that takes it out of the samples. `number` is the decision's number in the shadow log. `is_overfill`: an order
    executed more than it requested. `is_downsize`: v6 would have ordered more than live did. `reduce_label` is that of
    the live orders labelled reduce-only. Of a `live_only` line, `is_reducing` tells that it verifiably only reduced a
    position, and `retries` names the vetoed decision that it repeats under another id. `outside_rollout` says why an
    order that v6 placed is none that the rollout let it place.
    """

    symbol: str | None
    ts: float
    decision_id: str | None
    intent_id: str | None
    side: Side | None
    match_method: MatchMethod | None
    match_dt_s: float | None
    live_outcome: LiveOutcome
    mismatch_kind: MismatchKind
    veto_mismatch: bool | None
    size_pct_diff: float | None
    sizing_diff_pct: float | None
    is_upsize: bool | None
    slippage_diff_bps: float | None
    impact_usd: float | None
    root_cause: RootCause | None
    shadow: ShadowSide | None
    live: LiveSide | None
    revision_of: str | None = None
    ignored_by: str | None = None
    shortfall: Shortfall | None = None
    route_mismatch: bool | None = None
    mismatch_usd: float | None = None
    cause_detail: str | None = None
    upsize_cause: RootCause | None = None
    number: int | None = None
    is_overfill: bool | None = None
    is_downsize: bool | None = None
    is_position_side_wrong: bool | None = None
    reduce_label: ReduceLabel | None = None
    is_reducing: bool | None = None
    retries: str | None = None
    outside_rollout: str | None = None
    heartbeat: bool = False

    @property
    def is_executed_decision(self) -> bool:
        """Whether live placed an order for a decision."""
        return self.mismatch_kind is not MismatchKind.LIVE_ONLY and self.live_outcome is LiveOutcome.EXECUTED

    @property
    def is_unsized(self) -> bool:
        """Whether live placed an order for a decision, and nobody can say whether it was too large."""
        return self.is_executed_decision and self.is_upsize is None


# An executor may log an attempt after it has sent the order: two seconds are more than that takes and less than the
# shortest time between two attempts of one symbol.
ORDER_LEAD_S = 2.0
# A strategy that cancels and sends again, or an executor that retries, does so within seconds.
SETTLE_GRACE_S = 5.0
# A metrics row follows its fill at once; where none comes, the diff should not wait for it.
ARRIVAL_GRACE_S = 0.5
# The longest that a log shipper is behind; beyond it, a revision costs more reading than it is worth.
REVISION_HORIZON_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePolicy:
    """The settings of a comparison. Seconds and ratios.

    `order_lead_s` is how far an order may precede the logging of its attempt; `settle_grace_s` how long after
    a cancel or an error another order of the same intent is waited for; `revision_horizon_s` how far back a late row
    revises a decision; `arrival_grace_s` how long after the last fill the arrival price is waited for.
    """

    tolerance_s: float
    upsize_tolerance_ratio: float
    lot_steps: Mapping[str, float]
    order_lead_s: float = ORDER_LEAD_S
    settle_grace_s: float = SETTLE_GRACE_S
    revision_horizon_s: float = REVISION_HORIZON_S
    arrival_grace_s: float = ARRIVAL_GRACE_S
