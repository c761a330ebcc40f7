"""The run of one attempt: risk check, then size, then route."""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.decision import RouterDecision, ShadowDecision, SizeDecision, Sizing
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.domain.risk import DenyReason, Diagnostic, OrderIntent, RiskDecision, RiskState
from pipeline_v6_dagster.shadow.decided import note_decision
from pipeline_v6_dagster.shadow.intent import build_intent
from pipeline_v6_dagster.shadow.risk import RiskEngine, RiskEngineV6
from pipeline_v6_dagster.shadow.rolling import RollingState
from pipeline_v6_dagster.shadow.routing import RecordRouter, Router
from pipeline_v6_dagster.shadow.sizing import LotStepSizer, Sizer

# Names the rules that made a decision; changes whenever the same input may be decided otherwise.
ENGINE_VERSION = "v6.2"


class EngineFaultError(Exception):
    """An engine of the desk's own raised, or answered with what is no answer. Denies the attempt, ends no run."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The three parts that a desk may replace; `version` names what decides in every row."""

    risk: RiskEngine
    sizer: Sizer
    router: Router
    version: str = ENGINE_VERSION

    @classmethod
    def built_in(cls, limits: Limits) -> "Engines":
        """The defaults for `limits`."""
        return cls(RiskEngineV6(limits), LotStepSizer(limits), RecordRouter(limits))


def run_pipeline_v6_shadow(attempt: Attempt, account: RollingState, limits: Limits, engines: Engines) -> ShadowDecision:
    """What v6 would have done with `attempt`, given what was known of the account. The same inputs decide the same.

    The account then remembers the attempt. An engine that raises `EngineFaultError` denies with `engine_error`.
    """
    intent, state = build_intent(attempt, account, limits)
    try:
        risk, size, route = _decide(intent, state, account, engines)
    except EngineFaultError as fault:
        diagnostics = {DenyReason.ENGINE_ERROR: Diagnostic("an answer", str(fault), "text")}
        risk, size, route = RiskDecision(False, 0.0, (DenyReason.ENGINE_ERROR,), (), (), diagnostics), None, None
    account.note_attempt(
        attempt.as_of,
        intent.symbol,
        intent.side,
        intent.qty,
        intent.intent_id,
        intent.nav_usd,
        is_allowed=risk.allowed,
    )
    note_decision(account, intent, state, attempt.as_of, size)
    own_gross = None if attempt.qty is None or attempt.price is None else abs(attempt.qty) * attempt.price
    return ShadowDecision(
        intent=intent,
        state=state,
        risk_decision=risk,
        sizing=Sizing(
            screener_gross_usd=intent.quote_notional,
            executor_gross_usd=own_gross,
            sized_gross_usd=size.gross_usd if size is not None else None,
        ),
        size_decision=size,
        router_decision=route,
        as_of=attempt.as_of,
    )


def _decide(
    intent: OrderIntent, state: RiskState, account: RollingState, engines: Engines
) -> tuple[RiskDecision, SizeDecision | None, RouterDecision | None]:
    risk = engines.risk.check_order(intent, state)
    if not risk.allowed:
        return risk, None, None
    size = engines.sizer.size_order(intent, risk)
    record = account.routing_record(intent.symbol, state.as_of)
    return risk, size, engines.router.route_order(intent, size, record)
