"""What a verdict is held against: the settings of the desk, and the limits that no desk should set differently."""

from dataclasses import dataclass

DAY_S = 86_400.0

# Sizes that differ by more count as different; so many may. A twentieth is what lot steps of small orders can cost.
MAX_SIZE_DIFFERENCE_RATIO = 0.05
MAX_DIFFERENT_SIZES_RATIO = 0.05
# A PASS at k = 1 takes 80 blocks without a difference: 160 orders, so the 200 that a PASS needs leave room for some.
ORDERS_PER_BLOCK = 2
# A slice has few decisions; blocks of ten still hold most bursts.
SLICE_DECISIONS_PER_BLOCK = 10
MIN_SLICE_DECISIONS = 20
# A share or a quantile of fewer says nothing yet.
MIN_MEASURED = 20
# Verified reducing orders without a decision are liquidations and manual closes: rare on a desk that v6 can take over.
MAX_UNEXPLAINED_REDUCING_RATIO = 0.01
MAX_MALFORMED_RATIO = 0.01
# No order executes so far from the attempt's price and from the market on arrival: it is the collar of v6's own rules.
MAX_PRICE_DISTANCE_RATIO = 0.1
# Ten times and more what an exchange of perpetual futures charges a taker.
MAX_FEE_RATIO = 0.01
MAX_AGE_S = DAY_S
# Clocks of two machines may differ by a little. Rows further ahead hide how old the evidence is.
MAX_AHEAD_S = 300.0
# Restarts return seldom; two executors that share a log take turns all day.
MAX_RETURNS_PER_HOUR = 20
GATE_WINDOW = 200
MAX_ONE_REASON_RATIO = 0.95
MIN_NAV_RATIO = 0.5
MIN_KNOWN_OUTCOME_RATIO = 0.95
MIN_SIZED_RATIO = 0.95
# Of the newest decisions alone, which a good past must not outweigh. Twice as many may be open as over the epoch.
MIN_NEWEST_KNOWN_RATIO = 0.9
# Of the decisions that v6 denied: what live did with most of them must be known, else nothing was compared there.
MIN_DENIED_KNOWN_RATIO = 0.5
MAX_TIME_PAIR_RATIO = 0.5
MIN_FILL_RATIO = 0.5
MAX_IGNORED_RATIO = 0.01
MAX_IGNORE_DAYS = 90
MAX_EXPOSURE_ADDED_RATIO = 0.02
MIN_DAYS_WITH_DECISIONS_RATIO = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictPolicy:
    """The settings of a verdict. Ratios are shares of 1.

    `symbols` are those that the verdict is about; empty: all that are attempted. `max_route_mismatch_ratio` is None
    where routes decide nothing. `compare_limit` is how many of the newest decisions `still_agrees` covers;
    `min_sample` how many of them end the warmup.
    """

    max_mismatch_ratio: float = 0.05
    error_rate: float = 0.05
    min_days: float = 14.0
    min_orders: int = 200
    min_orders_per_symbol: int = 20
    symbols: tuple[str, ...] = ()
    max_slippage_p50_bps: float = 3.0
    max_slippage_p95_bps: float = 10.0
    max_order_delay_s: float = 60.0
    max_route_mismatch_ratio: float | None = None
    compare_limit: int = 500
    min_sample: int = 200
