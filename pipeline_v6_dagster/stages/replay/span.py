"""A span of the history again under another configuration, from a checkpoint of the shadow log a little before it.

What came before is not read: the checkpoint holds the state of the account. The attempts between it and the span are
decided again as well, so that what v6 itself had under way is that of the other configuration.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline_v6_dagster.compare.profit import compute_profits
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.logs.history_rows import history_table, name_executor
from pipeline_v6_dagster.logs.shadow_log import follow_attempts, open_shadow_log, open_shadow_log_before
from pipeline_v6_dagster.stages.gc_tuning import relaxed_gc
from pipeline_v6_dagster.stages.history.append import append_history
from pipeline_v6_dagster.stages.history.query import query_history
from pipeline_v6_dagster.stages.history.questions import bound
from pipeline_v6_dagster.stages.replay.decisions import make_shadow_side
from pipeline_v6_dagster.stages.replay.dollars import Dollars, sum_dollars
from pipeline_v6_dagster.stages.replay.rows import DiffPart, read_old
from pipeline_v6_dagster.stages.replay.run import Flip, list_executions, list_flips
from pipeline_v6_dagster.stages.replay.sandbox import replay_home
from pipeline_v6_dagster.stages.shadow.engines import load_engines
from pipeline_v6_dagster.stages.shadow.run import ShadowRun, decide
from pipeline_v6_dagster.storage.delta_table import has_table, is_delta_installed, quote

# What v6 has under way drops out after one tolerance; the rolling rules look an hour back.
_WARMUP_TOLERANCES = 2
_WARMUP_S = 3600.0
# Positions are seldom held longer; what was opened before earns nobody here anything.
PROFIT_LOOKBACK_S = 30 * 86_400.0
# An attempt whose clock was ahead stands among others. So many in a row are beyond the span.
_STRAY_ATTEMPTS = 100

_diff_decoder = msgspec.json.Decoder(DiffPart)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanReplay:
    """The answer for one span (epoch s, both ends included) and one configuration.

    `decided` counts the attempts that were decided again, those before the span included; `not_replayed` were settled
    then and cannot be decided again.
    """

    config_hash: str
    decisions: int
    decided: int
    not_replayed: int
    flips: tuple[Flip, ...]
    dollars: Dollars


@relaxed_gc()
def replay_span(settings: Settings, config_dir: Path, from_ts: float, to_ts: float) -> SpanReplay:
    """Decide the attempts of a span again under the configuration in `config_dir`.

    Raises:
        ConfigError: that configuration cannot be used.
        DataError: a log is not understood.
        StorageError: a log cannot be read.
    """
    limits = load_configuration(config_dir / "risk_limits.json", config_dir / "pairs_universe.json").limits
    known = _read_diffs(settings, from_ts - PROFIT_LOOKBACK_S, to_ts)
    new, decided = _decide_span(settings, config_dir, limits, from_ts, to_ts)
    counted = [diff for diff in known if diff.shadow is not None and diff.ts >= from_ts]
    pairs = [(diff, new[diff.decision_id]) for diff in counted if diff.decision_id in new]
    profits = compute_profits(list_executions(known, to_ts))
    return SpanReplay(
        config_hash=limits.config_hash,
        decisions=len(pairs),
        decided=decided,
        not_replayed=len(counted) - len(pairs),
        flips=tuple(sorted(list_flips(pairs, profits), key=lambda flip: flip.ts)),
        dollars=sum_dollars(pairs, profits),
    )


def _decide_span(
    settings: Settings, config_dir: Path, limits: Limits, from_ts: float, to_ts: float
) -> tuple[dict[str, ShadowSide], int]:
    """(the decisions of the span by each of their ids, as `decide_again` has them; how many attempts were decided)."""
    start_ts = from_ts - max(_WARMUP_S, _WARMUP_TOLERANCES * settings.match_tolerance_s)
    found: dict[str, ShadowSide] = {}
    run = ShadowRun()
    beyond = 0
    with replay_home(settings, config_dir, None) as home:
        # A log that the executor writes holds no checkpoints: all is decided from the first attempt on.
        is_ours = settings.shadow_source is ShadowSource.INTERNAL
        log = open_shadow_log_before(settings, start_ts) if is_ours else open_shadow_log(home)
        engines = load_engines(home, limits)
        with (
            follow_attempts(home, log) as follower,
            closing(decide(home, log, follower, limits, engines, run)) as all_decided,
        ):
            for decided in all_decided:
                as_of = decided.decision.as_of
                beyond = beyond + 1 if as_of > to_ts else 0
                if beyond > _STRAY_ATTEMPTS:
                    break
                if from_ts <= as_of <= to_ts:
                    side = make_shadow_side(decided.decision, decided.decision_id, limits.config_hash, engines.version)
                    found[decided.source.digest or decided.decision_id] = found[decided.decision_id] = side
    return found, run.decided


def _read_diffs(settings: Settings, from_ts: float, to_ts: float) -> list[DiffPart]:
    """The newest states of the diffs of a span, from the history if there is one, else from the compare log."""
    if not is_delta_installed() or not has_table(history_table(settings)):
        return [diff for diff in read_old(settings) if from_ts <= diff.ts <= to_ts]
    append_history(settings)
    where = f"executor = {quote(name_executor(settings))}{bound(from_ts, to_ts)}"
    rows = query_history(settings, f"SELECT json FROM diffs WHERE {where} ORDER BY position DESC").rows  # noqa: S608
    return [_diff_decoder.decode(content) for (content,) in rows]
