"""The A/A control: live against itself, so that noise is known before a difference is called one.

What live asked the exchange for takes the place of the decision, what was executed that of the order; both go through
the same differences and the same statistics. What is left is what partial fills, lots and rounding make of two sides
that agree: a difference between shadow and live that is no larger says nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline_v6_dagster.compare.difference import Sizes, measure_sizes
from pipeline_v6_dagster.compare.summary import size_diff_stats, sizing_diff_stats
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, LiveOutcome
from pipeline_v6_dagster.domain.figures import finite
from pipeline_v6_dagster.domain.summary import Control


def measure_control(samples: Sequence[Diff], policy: ComparePolicy) -> Control:
    """The control over the executed decisions of a window. Without slippage: live has no expectation of its own.

    Both sides of each placed the order, so no share of mismatches but 0 can come of any.
    """
    controls = [control for diff in samples if (control := control_sizes(diff, policy)) is not None]
    return Control(len(controls), 0.0 if controls else None, size_diff_stats(controls), sizing_diff_stats(controls))


def control_sizes(diff: Diff, policy: ComparePolicy) -> Sizes | None:
    """Live's own request against its own execution; None where it executed nothing or did not say what it asked for."""
    decision, live = diff.shadow, diff.live
    if decision is None or live is None or diff.live_outcome is not LiveOutcome.EXECUTED or diff.ignored_by is not None:
        return None
    if live.requested_qty is None or live.executed_qty is None:
        return None
    asked = replace(
        decision,
        sized_qty=live.requested_qty,
        sized_gross_usd=live.gross_usd,
        asked_qty=live.requested_qty,
        quote_notional=live.gross_usd,
    )
    gross_usd = finite(live.executed_qty * decision.price) if decision.price else live.gross_usd
    return measure_sizes(asked, replace(live, requested_qty=live.executed_qty, gross_usd=gross_usd), None, policy)
