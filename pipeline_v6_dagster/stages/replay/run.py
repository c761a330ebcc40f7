"""The replay stage: the history decided again under another configuration, against what was decided then.

What the shadow and compare stages do is done, on the live logs as they are, into a folder of its own that is gone
afterwards. So rules, engines, rolling state and verdict are the real ones, and the live logs are only read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import maxsize
from typing import Any

from pipeline_v6_dagster.compare.profit import Execution, Profit, compute_profits
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.summary import Summary
from pipeline_v6_dagster.logs.compare_log import open_compare_log, read_summaries_backward
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.stages.replay.decisions import decide_again
from pipeline_v6_dagster.stages.replay.dollars import Dollars, sum_dollars
from pipeline_v6_dagster.stages.replay.rows import DiffPart, compute_slippage_usd, read_old
from pipeline_v6_dagster.stages.replay.sandbox import replay_home

# What is gone afterwards is not rotated: nobody needs it packed.
_WHOLE = maxsize
# The share that is done by then.
_READ, _DECIDED, _COMPARED = 0.05, 0.4, 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stood, or would have stood."""

    status: str
    verdict: str
    reasons: tuple[str, ...]
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One decision that comes out otherwise. Dollars are those of the live order, None if there was none.

    `rules` deny it: those of now where it is stopped, those of then where it is let through. `profit_usd` is before
    fees.
    """

    decision_id: str
    intent_id: str | None
    ts: float
    symbol: str
    side: str | None
    is_stopped: bool
    rules: tuple[str, ...]
    live_outcome: str
    executed_gross_usd: float | None
    fees_usd: float | None
    slippage_usd: float | None
    profit_usd: float | None
    is_profit_marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The whole answer. `not_replayed` were settled then and cannot be decided again: their attempts are gone."""

    config_dir: Path
    from_ts: float | None
    to_ts: float | None
    decisions: int
    not_replayed: int
    then: Verdict | None
    now: Verdict
    flips: tuple[Flip, ...]
    dollars: Dollars


def replay(
    settings: Settings,
    config_dir: Path,
    clock: Callable[[], float],
    *,
    from_ts: float | None = None,
    to_ts: float | None = None,
    seen: Callable[[float], None] = lambda share: None,
) -> Replay:
    """Decide the history again under the configuration in `config_dir`. `seen` is called with the share that is done.

    `from_ts` and `to_ts` (epoch s) bound the decisions that count; what was logged after `to_ts` is not looked at.

    Raises:
        ConfigError: that configuration cannot be used.
        DataError: there is nothing to compare with yet.
        StorageError: a log cannot be read.
    """
    with relaxed_gc():
        return _replay(settings, config_dir, clock, from_ts, to_ts, seen)


def _replay(
    settings: Settings,
    config_dir: Path,
    clock: Callable[[], float],
    from_ts: float | None,
    to_ts: float | None,
    seen: Callable[[float], None],
) -> Replay:
    limits = load_configuration(config_dir / "risk_limits.json", config_dir / "pairs_universe.json").limits
    then = _summary_then(settings, to_ts)
    old = read_old(settings)
    if not old:
        raise DataError(f"{settings.compare_diffs}: holds no decisions yet; run pipeline-v6 shadow and compare first")
    seen(_READ)
    with replay_home(settings, config_dir, to_ts) as home:
        # Judged as of the time at which the other verdict was: neither is older than the other.
        as_of = to_ts if to_ts is not None else (clock() if then is None else then.generated_ts)
        decisions, new = decide_again(
            home, limits, lambda count: seen(_READ + (_DECIDED - _READ) * min(1.0, count / len(old)))
        )
        seen(_DECIDED)
        summary = run_compare(home, limits, lambda: as_of, decisions=decisions, max_bytes=_WHOLE).summary
        seen(_COMPARED)
    profits = compute_profits(list_executions(old, to_ts))
    counted = [diff for diff in old if _is_counted(diff, from_ts, to_ts)]
    pairs = [(diff, new[diff.decision_id]) for diff in counted if diff.decision_id in new]
    return Replay(
        config_dir=config_dir,
        from_ts=from_ts,
        to_ts=to_ts,
        decisions=len(pairs),
        not_replayed=len(counted) - len(pairs),
        then=_verdict(then) if then is not None else None,
        now=_verdict(summary),
        flips=tuple(sorted(list_flips(pairs, profits), key=lambda flip: flip.ts)),
        dollars=sum_dollars(pairs, profits),
    )


def _summary_then(settings: Settings, to_ts: float | None) -> Summary | None:
    for summary in read_summaries_backward(open_compare_log(settings)):
        if to_ts is None or summary.generated_ts <= to_ts:
            return summary
    return None


def _is_counted(diff: DiffPart, from_ts: float | None, to_ts: float | None) -> bool:
    if diff.shadow is None:
        return False
    return (from_ts is None or diff.ts >= from_ts) and (to_ts is None or diff.ts <= to_ts)


def list_executions(diffs: list[DiffPart], to_ts: float | None) -> Iterator[Execution]:
    """What the orders behind diffs executed, of those up to a time (epoch s)."""
    for diff in diffs:
        if diff.live is None or diff.side is None or (to_ts is not None and diff.ts > to_ts):
            continue
        reduces = diff.shadow is not None and diff.shadow.is_reduce_only
        for leg in diff.live.legs:
            if leg.executed_qty and leg.avg_price:
                yield Execution(
                    diff.decision_id,
                    diff.symbol or "",
                    diff.side,
                    leg.is_reduce_only or reduces,
                    leg.last_ts,
                    leg.executed_qty,
                    leg.avg_price,
                    leg.fees_usd,
                )


def list_flips(pairs: list[tuple[DiffPart, ShadowSide]], profits: dict[Any, Profit]) -> Iterator[Flip]:
    """The decisions that come out otherwise, of pairs (the diff of then, what is decided now)."""
    for diff, new in pairs:
        old = diff.shadow
        if old is None or old.is_allowed == new.is_allowed:
            continue
        live, profit = diff.live, profits.get(diff.decision_id)
        yield Flip(
            decision_id=diff.decision_id or "",
            intent_id=diff.intent_id,
            ts=diff.ts,
            symbol=diff.symbol or "",
            side=diff.side.value if diff.side is not None else None,
            is_stopped=old.is_allowed,
            rules=new.reasons if old.is_allowed else old.reasons,
            live_outcome=diff.live_outcome,
            executed_gross_usd=live.executed_gross_usd if live is not None else None,
            fees_usd=live.fees_usd if live is not None else None,
            slippage_usd=compute_slippage_usd(diff),
            profit_usd=profit.price_usd if profit is not None else None,
            is_profit_marked=profit is not None and profit.open_usd != 0,
        )


def _verdict(summary: Summary) -> Verdict:
    return Verdict(
        summary.status.value,
        summary.verdict.value,
        summary.verdict_reasons,
        summary.config_hash,
    )
