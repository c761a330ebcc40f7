"""`pipeline-v6 explain`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, json_option, settings_of_environment, utc
from pipeline_v6_dagster.shadow.risk import Outcome, RuleReading
from pipeline_v6_dagster.stages.shadow.explain import Explanation, explain


@click.command("explain")
@click.argument("decision_id")
@json_option
def command(decision_id: str, as_json: bool) -> None:
    """Why one attempt was decided as it was, from the shadow log alone.

    Prints the intent, the account as it was known, every rule with its threshold and what it saw, and what was sized
    and routed. DECISION_ID stands in each row of the shadow log and of the compare log.
    """
    explanation = explain(settings_of_environment(), decision_id)
    answer(as_json, msgspec.to_builtins(explanation), list(_lines(explanation)))


def _lines(explanation: Explanation) -> Iterator[str]:
    decision = explanation.decision
    risk = decision.risk_decision
    verdict = "allowed" if risk.allowed else f"denied: {', '.join(risk.reasons)}"
    yield f"decision {decision.decision_id} of {utc(decision.timestamp)}: {verdict}"
    yield f"engine {decision.engine_version}, configuration {decision.config_hash}"
    yield f"attempt in {decision.source.log}, bytes {decision.source.start} to {decision.source.end}"
    yield from _fields("intent", asdict(decision.intent))
    if decision.state is not None:
        yield from _fields("account as of the attempt", asdict(decision.state))
    if explanation.exposure is not None:
        yield from _fields("exposure of the symbol", asdict(explanation.exposure))
    if explanation.rules:
        yield "rules"
        yield from map(_rule, explanation.rules)
    if not risk.allowed:
        yield f"largest quantity that would have passed: {risk.clamped_qty:g}"
    if decision.size_decision is not None:
        yield from _fields("size", asdict(decision.size_decision))
    if decision.router_decision is not None:
        yield from _fields("route", asdict(decision.router_decision))
    if explanation.note:
        yield explanation.note


def _rule(rule: RuleReading) -> str:
    line = f"  {rule.outcome:<14} {rule.reason}{f' ({rule.limit_keys[0]})' if rule.limit_keys else ''}"
    if rule.outcome in (Outcome.EXEMPT, Outcome.NOT_CONFIGURED):
        return line
    return f"{line}: limit {_shown(rule.threshold)}, observed {_shown(rule.observed)} ({rule.unit})"


def _fields(title: str, fields: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    yield f"{indent[2:]}{title}"
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _fields(name, value, indent + "  ")
        else:
            yield f"{indent}{name} = {_shown(value)}"


def _shown(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.10g}"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)
