"""Explaining one decision from the shadow log alone: what was asked, what was known, what every rule said of it."""

from dataclasses import dataclass

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.risk import DenyReason, OrderIntent, RiskState
from pipeline_v6_dagster.logs.shadow_log import (
    Checkpoint,
    RecordedDecision,
    open_shadow_log,
    parse_checkpoint,
    parse_decided,
    parse_recorded,
)
from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION
from pipeline_v6_dagster.shadow.risk import Outcome, RuleReading, read_rules

# What every line of the decision that is asked for holds; others are not decoded.
_ID_FIELD = b'"decision_id":"%b"'


@dataclass(frozen=True, slots=True)
class SymbolExposure:
    """What the caps counted for the symbol, in USD; None where a part is not known."""

    snapshot_usd: float | None
    pending_live_usd: float | None
    pending_v6_usd: float | None
    total_usd: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision as it stands in the log, and what every built-in rule says of it under the limits of that time.

    `note` says why there are no `rules`, or why they are not the whole answer. `exposure` is None where the log holds
    no state.
    """

    decision: RecordedDecision
    exposure: SymbolExposure | None
    rules: tuple[RuleReading, ...]
    note: str | None


def explain(settings: Settings, decision_id: str) -> Explanation:
    """Find a decision and the limits that it was made under.

    Raises:
        DataError: the log has no such decision, or it is another producer's.
        StorageError: the log cannot be read.
    """
    found, checkpoint = _find(settings, decision_id)
    if found is None:
        raise DataError(f"{settings.shadow_log}: has no decision {decision_id}; take an id from a row of the log")
    if found.state is None or checkpoint is None:
        return Explanation(found, None, (), "the log holds no limits for this decision: an older version wrote it")
    rules = tuple(read_rules(found.intent, found.state, checkpoint.limits))
    return Explanation(found, _exposure(found.intent, found.state), rules, _note(found, rules))


def _exposure(intent: OrderIntent, state: RiskState) -> SymbolExposure:
    held, live, v6 = intent.current_gross_notional, state.pending_live_usd, state.pending_v6_usd
    total = None if held is None or live is None or v6 is None else held + live + v6
    return SymbolExposure(held, live, v6, total)


def find_decision_ids(settings: Settings, wanted_id: str) -> tuple[str, ...]:
    """The decision of that id, else all decisions whose intent or attempt has it, newest first; none is empty.

    Raises:
        DataError: the log has such a decision of another producer.
        StorageError: the log cannot be read.
    """
    found: list[str] = []
    mark = msgspec.json.encode(_as_text(wanted_id))
    for line in open_shadow_log(settings).backward():
        if mark not in line:
            continue
        row = parse_recorded(line)
        if row is None:
            if _ID_FIELD % wanted_id.encode("utf-8", "replace") in line:
                raise _foreign(settings, wanted_id)
        elif row.decision_id == wanted_id:
            return (wanted_id,)
        elif wanted_id in (row.intent.intent_id, row.intent.attempt_id):
            found.append(row.decision_id)
    return tuple(dict.fromkeys(found))


def _as_text(wanted_id: str) -> str:
    """An argument of a command may hold bytes that are no text; no row holds them."""
    return wanted_id.encode("utf-8", "replace").decode()


def _foreign(settings: Settings, decision_id: str) -> DataError:
    return DataError(f"{settings.shadow_log}: decision {decision_id} is another producer's and says not why")


def _note(found: RecordedDecision, rules: tuple[RuleReading, ...]) -> str | None:
    recorded = set(found.risk_decision.reasons)
    if DenyReason.ENGINE_ERROR in recorded:
        return "an engine of the desk's own failed; the rules are those of the built-in one"
    if found.engine_version != ENGINE_VERSION:
        return f"decided by {found.engine_version}; the rules are those of {ENGINE_VERSION}"
    said = {rule.reason for rule in rules if rule.outcome is Outcome.DENIES}
    return None if said == recorded else "the rules do not say what the log says: the row is not what was written"


def _find(settings: Settings, decision_id: str) -> tuple[RecordedDecision | None, Checkpoint | None]:
    found: RecordedDecision | None = None
    mark = _ID_FIELD % decision_id.encode("utf-8", "replace")
    for line in open_shadow_log(settings).backward():
        if found is None:
            if mark not in line:
                continue
            found = parse_recorded(line)
            if found is None:
                raise _foreign(settings, decision_id)
            if found.decision_id != decision_id:
                found = None
                continue
        if b'"checkpoint":{' not in line:
            continue
        row = parse_decided(line)
        checkpoint = parse_checkpoint(row.checkpoint) if row is not None and row.checkpoint else None
        if row is not None and checkpoint is not None:
            return found, checkpoint if row.config_hash == found.config_hash else None
    return found, None
