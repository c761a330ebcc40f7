"""The decisions of a replay: every attempt decided again, handed to the comparison without a shadow log in between."""

from collections.abc import Callable

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import ShadowSide
from pipeline_v6_dagster.domain.decision import ShadowDecision
from pipeline_v6_dagster.domain.figures import finite, magnitude, price_or_none
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.logs.shadow_log import follow_attempts, offset_in, open_shadow_log
from pipeline_v6_dagster.logs.shadow_rows import ShadowRow
from pipeline_v6_dagster.stages.compare.inputs import Decisions
from pipeline_v6_dagster.stages.shadow.engines import load_engines
from pipeline_v6_dagster.stages.shadow.run import ShadowRun, decide

_REPORT_EVERY = 500


def decide_again(
    home: Settings, limits: Limits, seen: Callable[[int], None]
) -> tuple[Decisions, dict[str, ShadowSide]]:
    """What the shadow log of `home`, which has none, would hold; and each decision by its ids.

    Earlier versions took the id from the place of the attempt in its file, so each decision has two. `seen` is called
    with the number so far, every 500.

    Raises:
        ConfigError: an engine of the desk's own cannot be loaded.
        StorageError: a log cannot be read.
    """
    rows: list[ShadowRow] = []
    by_id: dict[str, ShadowSide] = {}
    decided = None
    log = open_shadow_log(home)
    with follow_attempts(home, log) as follower:
        engines = load_engines(home, limits)
        for decided in decide(home, log, follower, limits, engines, ShadowRun()):
            side = make_shadow_side(decided.decision, decided.decision_id, limits.config_hash, engines.version)
            by_id[decided.source.digest or decided.decision_id] = by_id[decided.decision_id] = side
            rows.append(ShadowRow(side, decided.source.skipped, decided.source.lost_bytes))
            if not len(rows) % _REPORT_EVERY:
                seen(len(rows))
    return Decisions(rows, None if decided is None else offset_in(decided.decision_id, decided.source)), by_id


def make_shadow_side(decision: ShadowDecision, decision_id: str, config_hash: str, engine_version: str) -> ShadowSide:
    """What the row of a decision says to whoever reads it back (`logs.shadow_log.parse_shadow_row`)."""
    intent, risk, size, route = (
        decision.intent,
        decision.risk_decision,
        decision.size_decision,
        decision.router_decision,
    )
    return ShadowSide(
        decision_id=decision_id,
        symbol=intent.symbol,
        side=intent.side,
        intent_id=intent.intent_id,
        attempt_id=intent.attempt_id,
        as_of=decision.as_of,
        is_allowed=risk.allowed,
        reasons=risk.reasons,
        is_reduce_only=intent.reduce_only,
        price=price_or_none(finite(intent.price)),
        quote_notional=magnitude(finite(intent.quote_notional)),
        sized_qty=None if size is None else magnitude(finite(size.qty)),
        sized_gross_usd=magnitude(finite(decision.sizing.sized_gross_usd if size is None else size.gross_usd)),
        expected_slippage_bps=None if route is None else finite(route.expected_slippage_bps),
        route=None if route is None else str(route.route),
        config_hash=config_hash,
        tier=intent.tier_name,
        engine_version=engine_version,
        nav_usd=finite(intent.nav_usd),
        asked_qty=magnitude(finite(intent.qty)),
    )
