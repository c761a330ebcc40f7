"""The table of criteria: why v6 may or may not go live.

One entry per criterion, in the order in which they are shown. Checks, alerts, metrics, the report and the reference are
made from this table; none of them holds a rule of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline_v6_dagster.domain.verdict import Criterion, CriterionGroup
from pipeline_v6_dagster.verdict import agreement_readings as agreement
from pipeline_v6_dagster.verdict import critical, sufficiency
from pipeline_v6_dagster.verdict import evidence_readings as quality
from pipeline_v6_dagster.verdict.evidence_state import WITHIN_ROLLOUT, EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts
from pipeline_v6_dagster.verdict.policy import VerdictPolicy
from pipeline_v6_dagster.verdict.reading import Reading

Evaluate = Callable[[EpochEvidence, Facts, VerdictPolicy], Reading | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionDef:
    """One criterion. `unit` is that of its `value`; `evaluate` gives None without the `now` that it needs."""

    name: str
    group: CriterionGroup
    passes_when: str
    to_do: str
    unit: str
    evaluate: Evaluate


def _critical(name: str, passes_when: str, to_do: str, evaluate: Evaluate) -> CriterionDef:
    return CriterionDef(
        name=name, group=CriterionGroup.CRITICAL, passes_when=passes_when, to_do=to_do, unit="orders", evaluate=evaluate
    )


def _evidence(name: str, unit: str, passes_when: str, to_do: str, evaluate: Evaluate) -> CriterionDef:
    return CriterionDef(
        name=name, group=CriterionGroup.EVIDENCE, passes_when=passes_when, to_do=to_do, unit=unit, evaluate=evaluate
    )


def _agreement(name: str, unit: str, passes_when: str, to_do: str, evaluate: Evaluate) -> CriterionDef:
    return CriterionDef(
        name=name, group=CriterionGroup.AGREEMENT, passes_when=passes_when, to_do=to_do, unit=unit, evaluate=evaluate
    )


def _sufficiency(name: str, unit: str, passes_when: str, to_do: str, evaluate: Evaluate) -> CriterionDef:
    return CriterionDef(
        name=name, group=CriterionGroup.SUFFICIENCY, passes_when=passes_when, to_do=to_do, unit=unit, evaluate=evaluate
    )


_EXPLAIN = "Run pipeline-v6 explain with each id"
_ACKNOWLEDGE = "then pipeline-v6 acknowledge with --fixed-at to begin a new epoch"

_CRITICAL = (
    _critical(
        "same_side",
        "Passes when no live order of the epoch is on another side than v6 decided.",
        f"{_EXPLAIN}, fix the side in the strategy or the executor, {_ACKNOWLEDGE}.",
        critical.require_none("same_side", "placed on another side than v6 decided"),
    ),
    _critical(
        "same_symbol",
        "Passes when no live order of the epoch is for another symbol than v6 decided.",
        f"{_EXPLAIN}, fix the symbol mapping of the executor, {_ACKNOWLEDGE}.",
        critical.require_none("same_symbol", "placed for another symbol than v6 decided"),
    ),
    _critical(
        "same_position_side",
        "Passes when no live order of the epoch changes another position side (LONG, SHORT) than v6 decided.",
        f"{_EXPLAIN}, check the executor's hedge mode and positionSide, {_ACKNOWLEDGE}.",
        critical.require_none("same_position_side", "placed on another position side than v6 decided"),
    ),
    _critical(
        "no_upsizes",
        "Passes when no live order of the epoch is larger than v6's size.",
        f"{_EXPLAIN}, find where the executor enlarges orders (minimum notional, lot step, retries), {_ACKNOWLEDGE}.",
        critical.require_none("no_upsizes", "larger than v6's size"),
    ),
    _critical(
        "no_overfills",
        "Passes when no live order of the epoch executed more than it requested.",
        f"{_EXPLAIN}, compare the fills with the exchange's own trade history, {_ACKNOWLEDGE}.",
        critical.require_none("no_overfills", "executed more than requested"),
    ),
    _critical(
        "v6_not_larger",
        "Passes when v6 would place no order of the epoch larger than live requested.",
        f"{_EXPLAIN}, find which size limit of live's v6 does not know, and add it; that begins a new epoch.",
        critical.require_none("v6_not_larger", "smaller in live than v6 would place"),
    ),
    _critical(
        "reduce_only_honest",
        "Passes when no order of the epoch labelled reduce-only opened or exceeded a position that is known.",
        f"{_EXPLAIN}, fix how the executor sets reduce-only, {_ACKNOWLEDGE}.",
        critical.reduce_only_honest,
    ),
    _critical(
        "orders_explained",
        "Passes when every opening live order of the epoch belongs to a decision or an ignore rule, and reducing ones "
        "without a decision are at most 1 % of live orders.",
        "Find what placed each order; log its attempts, or name it in config/compare_ignore.json with owner, reason "
        f"and expiry; {_ACKNOWLEDGE}.",
        critical.orders_explained,
    ),
    _critical(
        WITHIN_ROLLOUT,
        "Passes when v6 placed no order of the epoch that the rollout did not let it place: in another symbol, beyond "
        "the stage's share, or while v6 was not live, trading was halted, or only reducing orders were let through.",
        f"{_EXPLAIN}, let the executor read the rollout's file before every order as docs/rollout.md says, "
        f"{_ACKNOWLEDGE}.",
        critical.require_none(WITHIN_ROLLOUT, "placed by v6 outside of the rollout"),
    ),
)

_EVIDENCE = (
    _evidence(
        "logs_intact",
        "problems",
        "Passes when the hash chains of our logs are whole and the summary file is the one in the compare log.",
        "Run pipeline-v6 verify; restore the log it names from a backup, or run pipeline-v6 compare --rebuild.",
        quality.logs_intact,
    ),
    _evidence(
        "inputs_whole",
        "problems",
        "Passes when no byte of an input was lost unread and every rotation of an input can be read.",
        "Let the executor rotate its logs as name.1.jsonl to name.5.jsonl, and run compare before the last is removed.",
        quality.inputs_whole,
    ),
    _evidence(
        "inputs_usable",
        "%",
        "Passes when at most 1 % of the newest lines of each input are malformed, no unused row carries a quantity, "
        "and no order executed at a price or with a fee that cannot be right.",
        "Run pipeline-v6 doctor for the kinds of lines, and pipeline-v6 explain with each id; fix the writer, or list "
        "known rows under known_rows_ok.",
        quality.inputs_usable,
    ),
    _evidence(
        "inputs_fresh",
        "s",
        "Passes when the newest row of each input is at most a day old and none is ahead of the clock.",
        "Check that the executor runs and writes into this home, and that the clocks of both machines agree.",
        quality.inputs_fresh,
    ),
    _evidence(
        "one_executor",
        "returns",
        "Passes when no order id is acked by two processes and no log switches between processes all the time.",
        "Stop the second executor or give it a home of its own, then begin a new epoch with pipeline-v6 acknowledge.",
        quality.one_executor,
    ),
    _evidence(
        "limits_understood",
        "keys",
        "Passes when every key of the limits and the universe is read, or listed under unread_keys_ok.",
        "Run pipeline-v6 doctor for the nearest known key; correct the key, or list it under unread_keys_ok.",
        quality.limits_understood,
    ),
    _evidence(
        "epoch_is_current",
        "yes",
        "Passes when configuration, engines and settings are those under which the epoch's decisions were made.",
        "Wait for decisions under the present configuration, or restore the former one.",
        quality.epoch_is_current,
    ),
    _evidence(
        "gates_alive",
        "%",
        "Passes when neither side vetoes 95 % of its newest 200 decisions for one reason, live fills orders, and the "
        "NAV is known and changes.",
        "Run pipeline-v6 doctor; find the gate that is stuck, or the account whose NAV no longer moves.",
        quality.gates_alive,
    ),
    _evidence(
        "coverage",
        "%",
        "Passes when 95 % of decisions have a known outcome, 95 % of executed orders a size, and at most half of the "
        "pairs were made by time alone.",
        "Let the executor log intent_id, quantity and price with every ack, fill, veto and error.",
        quality.coverage,
    ),
    _evidence(
        "fills",
        "%",
        "Passes when live executed at least half of the USD that its intents asked for.",
        "Find why orders do not fill: prices, time in force, refusals by the exchange.",
        quality.fills,
    ),
    _evidence(
        "little_ignored",
        "%",
        "Passes when ignore rules hide at most 1 % of decisions and each expires within 90 days.",
        "Narrow the rules in config/compare_ignore.json, or fix what they hide.",
        quality.little_ignored,
    ),
)

_AGREEMENT = (
    _agreement(
        "decisions_agree",
        "%",
        "Passes when the upper bound of the mismatch rate is at most PIPELINE_VERDICT_MAX_MISMATCH.",
        "Read the root causes in pipeline-v6 status; where the bound only needs more decisions, wait.",
        agreement.decisions_agree,
    ),
    _agreement(
        "still_agrees",
        "%",
        "Passes when the share of mismatches among the newest decisions is at most PIPELINE_VERDICT_MAX_MISMATCH.",
        f"{_EXPLAIN}: something has changed of late.",
        agreement.still_agrees,
    ),
    _agreement(
        "every_slice_agrees",
        "%",
        "Passes when in every symbol, side, route and kind of order with 20 decisions the share of mismatches is at "
        "most PIPELINE_VERDICT_MAX_MISMATCH.",
        "Check the root causes of that slice in pipeline-v6 report.",
        agreement.every_slice_agrees,
    ),
    _agreement(
        "sizes_agree",
        "%",
        "Passes when the upper bound of the share of orders whose sizes differ by more than 5 % is at most 5 %.",
        "Compare the size caps of both sides: lot steps, minimum notional, NAV shares.",
        agreement.sizes_agree,
    ),
    _agreement(
        "slippage_as_expected",
        "bps",
        "Passes when median and p95 of the absolute slippage difference are within PIPELINE_VERDICT_MAX_SLIPPAGE_BPS.",
        "Set the expected slippage and the fees of the limits to what live really pays, or find why live pays more.",
        agreement.slippage_as_expected,
    ),
    _agreement(
        "orders_prompt",
        "s",
        "Passes when 95 % of orders follow their attempt within PIPELINE_VERDICT_MAX_ORDER_DELAY seconds.",
        "Find where orders wait between attempt and exchange: queues, retries, clocks.",
        agreement.orders_prompt,
    ),
    _agreement(
        "routes_agree",
        "%",
        "Passes when the share of orders that go another way than v6's is within PIPELINE_VERDICT_MAX_ROUTE_MISMATCH.",
        "Let the executor route as v6's router would, or set PIPELINE_V6_ROUTER to the desk's own.",
        agreement.routes_agree,
    ),
    _agreement(
        "exposure_added",
        "%",
        "Passes when the USD that v6 would have placed beyond live are at most 2 % of live's gross.",
        "Find which of live's vetoes and size limits v6 does not know, and add them to the limits.",
        agreement.exposure_added,
    ),
)

_SUFFICIENCY = (
    _sufficiency(
        "long_enough",
        "days",
        "Passes when the epoch has lasted PIPELINE_VERDICT_MIN_DAYS, with decisions on 70 % of its UTC days.",
        "Wait; every change of the configuration begins a new epoch.",
        sufficiency.long_enough,
    ),
    _sufficiency(
        "orders_enough",
        "orders",
        "Passes when live executed PIPELINE_VERDICT_MIN_ORDERS orders in the epoch.",
        "Wait for more orders.",
        sufficiency.orders_enough,
    ),
    _sufficiency(
        "symbols_covered",
        "symbols",
        "Passes when each symbol in scope has PIPELINE_VERDICT_MIN_ORDERS_PER_SYMBOL executed orders in the epoch.",
        "Wait for more orders, or name the symbols that matter in PIPELINE_VERDICT_SYMBOLS.",
        sufficiency.symbols_covered,
    ),
)

CRITERIA: tuple[CriterionDef, ...] = (*_CRITICAL, *_EVIDENCE, *_AGREEMENT, *_SUFFICIENCY)
# These depend on when they are asked for, so no stored summary holds them.
ASKED_NOW = frozenset({"logs_intact", "inputs_fresh", "limits_understood", "epoch_is_current"})


def evaluate_all(evidence: EpochEvidence, facts: Facts, policy: VerdictPolicy) -> tuple[Criterion, ...]:
    """Every criterion as it stands, in the order of the table; those of `ASKED_NOW` only where `facts.now` is given."""
    found = []
    for entry in CRITERIA:
        reading = entry.evaluate(evidence, facts, policy)
        if reading is not None:
            found.append(as_criterion(entry, reading))
    return tuple(found)


def as_criterion(entry: CriterionDef, reading: Reading) -> Criterion:
    """The record that is stored and shown."""
    return Criterion(
        name=entry.name,
        group=entry.group,
        state=reading.state,
        measured=reading.measured,
        limit=reading.limit,
        description=reading.description,
        to_do=entry.to_do,
        value=reading.value,
        failing_ids=reading.failing_ids,
        counts_against=reading.counts_against,
    )
