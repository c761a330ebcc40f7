"""Evidence for the tests of the rollout: a PASS, and what is broken of it."""

from pipeline_v6_dagster.domain.rollout import EpochKey, RolloutPlan, StagePlan, SymbolSelection
from pipeline_v6_dagster.domain.summary import Verdict
from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup, CriterionState
from pipeline_v6_dagster.rollout.moves import Actor, RolloutEvidence

HOUR_S = 3600.0
T0 = 1_790_000_000.0
EPOCH = EpochKey("e" * 16, T0 - 14 * 86_400)
GROUPS = {
    "no_upsizes": CriterionGroup.CRITICAL,
    "same_side": CriterionGroup.CRITICAL,
    "inputs_fresh": CriterionGroup.EVIDENCE,
    "coverage": CriterionGroup.EVIDENCE,
    "decisions_agree": CriterionGroup.AGREEMENT,
    "long_enough": CriterionGroup.SUFFICIENCY,
}
PLAN = RolloutPlan(
    stages=(
        StagePlan(name="one", symbols=SymbolSelection.MOST_TRADED, notional_share=0.1, min_hours=24.0),
        StagePlan(name="half", symbols=SymbolSelection.ALL, notional_share=0.5, min_hours=48.0),
        StagePlan(name="full", symbols=SymbolSelection.ALL, notional_share=1.0, min_hours=0.0),
    )
)


def evidence(
    *broken: str, not_yet: tuple[str, ...] = (), compare_ts: float | None = T0, epoch: EpochKey = EPOCH
) -> RolloutEvidence:
    """A PASS for two symbols, unless criteria are broken or not yet decided."""
    criteria = tuple(
        Criterion(
            name=name,
            group=group,
            state=CriterionState.BROKEN
            if name in broken
            else CriterionState.NOT_YET
            if name in not_yet
            else CriterionState.HOLDS,
            measured="1",
            limit="0",
            description=f"{name} as found",
            to_do="look",
        )
        for name, group in GROUPS.items()
    )
    verdict = Verdict.FAIL if broken else Verdict.INCONCLUSIVE if not_yet else Verdict.PASS
    return RolloutEvidence(
        verdict=verdict,
        epoch=epoch,
        criteria=criteria,
        passed_symbols=("BTCUSDT", "ETHUSDT") if verdict is Verdict.PASS else (),
        executed_by_symbol={"BTCUSDT": 90, "ETHUSDT": 120},
        compare_ts=compare_ts,
        compare_chain=None,
    )


def person(ts: float, by: str = "alice") -> Actor:
    """Somebody who acts."""
    return Actor(by=by, why="as planned", ts=ts)


def machine(ts: float) -> Actor:
    """Compare, or the sensor."""
    return Actor(by="compare", why="the evidence", ts=ts, is_automatic=True)
