"""The A/A control: live against itself, so that noise is known before a difference is called one.

What live asked the exchange for takes the place of the decision, what was executed that of the order; both go through
the same differences and the same statistics. What is left is what partial fills, lots and rounding make of two sides
that agree: a difference between shadow and live that is no larger says nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline_v6_dagster.compare.difference import diff_of
from pipeline_v6_dagster.compare.settlement import Settled
from pipeline_v6_dagster.compare.summary import mismatch_pct, size_diff_stats, sizing_diff_stats
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff, LiveOutcome
from pipeline_v6_dagster.domain.live import LiveOrder
from pipeline_v6_dagster.domain.summary import Control


def control_of(samples: Sequence[Diff], policy: ComparePolicy) -> Control:
    """The control over the executed decisions of a window. Without slippage: live has no expectation of its own."""
    diffs = [control for diff in samples if (control := control_diff(diff, policy)) is not None]
    return Control(len(diffs), mismatch_pct(diffs), size_diff_stats(diffs), sizing_diff_stats(diffs))


def control_diff(diff: Diff, policy: ComparePolicy) -> Diff | None:
    """Live's own request against its own execution; None where it executed nothing or did not say what it asked for."""
    decision, live = diff.shadow, diff.live
    if decision is None or live is None or diff.live_outcome is not LiveOutcome.EXECUTED or diff.ignored_by is not None:
        return None
    if live.requested_qty is None or live.executed_qty is None:
        return None
    asked = replace(
        decision,
        is_allowed=True,
        sized_qty=live.requested_qty,
        sized_gross_usd=live.gross_usd,
        expected_slippage_bps=None,
    )
    legs = [replace(leg, requested_qty=leg.executed_qty) for leg in live.legs]
    order = LiveOrder(decision.symbol, decision.side, decision.intent_id, decision.attempt_id, legs)
    return diff_of(Settled(asked, order, LiveOutcome.EXECUTED, diff.match_method, None), policy)
