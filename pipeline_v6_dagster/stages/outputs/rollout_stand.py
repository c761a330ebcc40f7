"""What v6 may do, in one line beside the verdict."""

from dataclasses import dataclass

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.formatting import format_percent, format_time
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutFile, RolloutState
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStand:
    """What v6 may do, by the history of the rollout. `since_ts` (epoch s) is when that began.

    `problem` says why the history cannot be used; v6 is off then, and the trading state is that of the executor's file.
    """

    state: RolloutState
    stage: str | None
    symbols: tuple[str, ...]
    notional_share: float
    trading_state: TradingState
    since_ts: float | None
    problem: str | None = None


def read_rollout_stand(settings: Settings) -> RolloutStand | None:
    """What v6 may do by the history; None if no rollout was begun.

    Raises:
        StorageError: the history, or the executor's file instead of it, cannot be read.
    """
    problem = None
    try:
        rollout = read_rollout_now(settings)
    except DataError as error:
        found = read_rollout_file(settings)
        trading_state = found.trading_state if isinstance(found, RolloutFile) else TradingState.ACTIVE
        rollout, problem = Rollout(trading_state=trading_state), str(error)
    if rollout.sequence == 0 and problem is None:
        return None
    return RolloutStand(
        state=rollout.state,
        stage=None if rollout.stage is None else rollout.stage.name,
        symbols=rollout.symbols,
        notional_share=rollout.notional_share,
        trading_state=rollout.trading_state,
        since_ts=None if rollout.changed is None else rollout.changed.ts,
        problem=problem,
    )


def describe_rollout(stand: RolloutStand) -> str:
    """One line: state, stage, share, symbols, trading state, since when."""
    stage = "" if stand.stage is None else f", stage {stand.stage}"
    trading = "" if stand.trading_state is TradingState.ACTIVE else f", trading {stand.trading_state}"
    if stand.problem is not None:
        return f"rollout: {stand.problem}; v6 is {stand.state}{trading}"
    share = ""
    if stand.symbols:
        share = f", {format_percent(stand.notional_share)} of the notional in {', '.join(stand.symbols)}"
    return f"rollout: {stand.state}{stage}{share}{trading}, since {format_time(stand.since_ts)}"
