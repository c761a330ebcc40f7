"""Diffs of a desk on which all criteria hold, one fault at a time, and what the stage says of its logs."""

from dataclasses import replace
from functools import cache
from typing import Any

from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.comparison import Diff, LiveOutcome, MatchMethod, MismatchKind, ReduceLabel
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import EpochFacts, Facts, InputFacts, LogFacts, NowFacts
from pipeline_v6_dagster.verdict.policy import DAY_S, VerdictPolicy
from pipeline_v6_dagster.verdict.window import window_evidence
from pipeline_v6_dagster_tests.live_builders import T0, decision, live

DECISIONS = 4000
EVERY_S = 15 * DAY_S / DECISIONS
SYMBOLS = ("BTCUSDT", "ETHUSDT")
SIDES = (Side.BUY, Side.SELL)
IDENTITY = "a" * 16
POLICY = VerdictPolicy()


def settled(number: int, **changes: Any) -> Diff:
    """Decision `number` of the desk, executed as v6 decided."""
    at = number * EVERY_S
    symbol, side = SYMBOLS[number % 2], SIDES[number // 2 % 2]
    shadow = decision(at, str(number), symbol=symbol, side=side, nav_usd=10_000.0 + number % 7)
    fields = dict.fromkeys(Diff.__slots__) | {
        "symbol": symbol,
        "ts": T0 + at,
        "decision_id": f"d{number}",
        "side": side,
        "match_method": MatchMethod.INTENT_ID,
        "match_dt_s": 0.5,
        "live_outcome": LiveOutcome.EXECUTED,
        "mismatch_kind": MismatchKind.MATCH,
        "veto_mismatch": False,
        "sizing_diff_pct": 0.0,
        "is_upsize": False,
        "slippage_diff_bps": 1.0,
        "shadow": shadow,
        "live": live(executed_qty=5.0, requested_qty=5.0, gross_usd=500.0, symbol=symbol, side=side),
        "route_mismatch": False,
        "number": number,
        "is_overfill": False,
        "is_downsize": False,
        "is_position_side_wrong": False,
        "heartbeat": False,
    }
    return Diff(**(fields | changes))


def absent(number: int) -> Diff:
    """v6 allowed, live refused: a mismatch."""
    return settled(
        number,
        live_outcome=LiveOutcome.VETOED,
        mismatch_kind=MismatchKind.SHADOW_ALLOWED_LIVE_ABSENT,
        veto_mismatch=True,
        sizing_diff_pct=None,
        is_upsize=None,
        slippage_diff_bps=None,
        match_dt_s=None,
        route_mismatch=None,
        live=live(reason="bucket_cap"),
    )


def unresolved(number: int) -> Diff:
    """Nobody knows what live did."""
    return replace(
        absent(number),
        live_outcome=LiveOutcome.UNRESOLVED,
        mismatch_kind=MismatchKind.LIVE_UNKNOWN,
        veto_mismatch=None,
        match_method=None,
        live=None,
    )


def live_only(number: int, **changes: Any) -> Diff:
    """An order that no decision explains, at the time of decision `number`."""
    fields = {
        "mismatch_kind": MismatchKind.LIVE_ONLY,
        "decision_id": None,
        "number": None,
        "shadow": None,
        "veto_mismatch": None,
        "intent_id": f"rogue{number}",
        "match_method": None,
        "match_dt_s": None,
    }
    return replace(settled(number), **(fields | changes))


def with_label(number: int, label: ReduceLabel) -> Diff:
    """A decision whose live orders were labelled reduce-only."""
    return settled(number, reduce_label=label)


def collect_evidence(diffs: list[Diff], **changes: Any) -> EpochEvidence:
    """The evidence of an epoch that began with the first decision."""
    evidence = EpochEvidence(**({"since_ts": T0} | changes))
    for diff in diffs:
        evidence.add(diff)
    return evidence


def make_facts(diffs: list[Diff], evidence: EpochEvidence, **changes: Any) -> Facts:
    """Whole, fresh logs of these diffs, and a configuration that is the epoch's."""
    newest = max((diff.ts for diff in diffs), default=T0)
    log = LogFacts(
        epoch=EpochFacts(identity=IDENTITY, since_ts=T0, newest_ts=newest),
        inputs=(InputFacts(name="orders_executed", lines=100, recent_malformed_ratio=0.0),),
        twice_acked_ids=(),
        returns_per_hour=0,
    )
    now = NowFacts(
        now=newest + 60,
        newest_row_ts={"orders_executed": newest},
        is_summary_in_log=True,
        unread_keys=(),
        identity=IDENTITY,
    )
    log = replace(log, **{name: value for name, value in changes.items() if name in LogFacts.__slots__})
    now = replace(now, **{name: value for name, value in changes.items() if name in NowFacts.__slots__})
    return Facts(log=log, now=now, window=window_evidence(diffs, evidence, POLICY.compare_limit))


@cache
def _clean_desk() -> tuple[Diff, ...]:
    return tuple(settled(number) for number in range(DECISIONS))


def desk(*others: Diff) -> list[Diff]:
    """Fifteen days of clean trading; `others` stand in the place of the decisions of the same number."""
    changed = {diff.number: diff for diff in others if diff.number is not None}
    found = [changed.get(number) or clean for number, clean in enumerate(_clean_desk())]
    return [*found, *(diff for diff in others if diff.number is None)]
