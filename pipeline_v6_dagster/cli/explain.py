"""`pipeline-v6 explain`."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from textwrap import wrap
from typing import Any

import click
import msgspec

from pipeline_v6_dagster.cli.surroundings import answer, json_option, read_environment, utc
from pipeline_v6_dagster.domain.comparison import Diff, LiveSide
from pipeline_v6_dagster.domain.formatting import NOT_MEASURED, format_bps, format_number, format_percent, format_usd
from pipeline_v6_dagster.domain.live import Leg
from pipeline_v6_dagster.shadow.risk import Outcome, RuleReading
from pipeline_v6_dagster.stages.outputs.explain import NOT_SETTLED, BothSides, explain_both_sides
from pipeline_v6_dagster.stages.shadow.explain import Explanation

_WIDTH = 120


@click.command("explain")
@click.argument("wanted_id", metavar="ID")
@json_option
def command(wanted_id: str, as_json: bool) -> None:
    """What v6 decided about one attempt and why, what live did, and how the two differ.

    Prints the intent, the account as it was known, every configured rule with its threshold and what it saw, and
    what was sized and routed; then the live orders, the figures of the comparison and the root cause. ID is a decision,
    intent or attempt id; of an intent or attempt with several decisions, the newest is shown.
    """
    if not wanted_id.strip():
        raise click.UsageError("the id is empty; give a decision, intent or attempt id")
    both = explain_both_sides(read_environment(), wanted_id)
    answer(as_json, _as_data(both), [*_shadow_lines(both), *_live_lines(both)])


def _as_data(both: BothSides) -> dict[str, Any]:
    shadow: dict[str, Any] = {"decision": None, "exposure": None, "rules": [], "note": None}
    if both.shadow is not None:
        shadow = msgspec.to_builtins(both.shadow)
    return {**shadow, "other_decision_ids": both.other_decision_ids, "diff": msgspec.to_builtins(both.diff)}


def _shadow_lines(both: BothSides) -> Iterator[str]:
    if both.shadow is None:
        yield "no decision: v6 has none for this order"
        return
    yield from _lines(both.shadow)
    if both.other_decision_ids:
        yield f"earlier decisions of this id: {', '.join(both.other_decision_ids)}"


def _live_lines(both: BothSides) -> Iterator[str]:
    diff = both.diff
    if diff is None:
        yield f"live: {NOT_SETTLED}"
        return
    yield f"live: {diff.live_outcome}"
    if diff.live is not None:
        yield from _live(diff.live)
    how = "not paired" if diff.match_method is None else f"paired by {diff.match_method}"
    late = "" if diff.match_dt_s is None else f", {diff.match_dt_s:.3f} s after the attempt"
    yield f"comparison: {diff.mismatch_kind}, {how}{late}"
    yield from _figures(diff)
    detail = "" if diff.cause_detail is None else f" ({diff.cause_detail})"
    yield f"root cause: {diff.root_cause or 'none, the two sides agree'}{detail}"
    if diff.upsize_cause is not None and diff.upsize_cause != diff.root_cause:
        yield f"cause of the larger size: {diff.upsize_cause}"


def _live(live: LiveSide) -> Iterator[str]:
    if live.reason is not None:
        yield f"  reason = {live.reason}"
    yield f"  requested = {format_number(live.requested_qty)}, executed = {format_number(live.executed_qty)}"
    yield f"  average price = {format_number(live.avg_price)}, arrival price = {format_number(live.arrival_price)}"
    yield f"  executed gross = {format_usd(live.executed_gross_usd)}, fees = {format_usd(live.fees_usd)}"
    yield f"  first ack {_when(live.first_ack_ts)}, last fill {_when(live.last_fill_ts)}"
    yield from map(_order, live.legs)


def _order(leg: Leg) -> str:
    label = ", reduce-only" if leg.is_reduce_only else ""
    return (
        f"  order {leg.order_id}: {leg.status or 'no status'}{label}, requested {format_number(leg.requested_qty)},"
        f" executed {format_number(leg.executed_qty)} at {format_number(leg.avg_price)},"
        f" first ack {_when(leg.first_ack_ts)}, last fill {_when(leg.last_fill_ts)}"
    )


def _figures(diff: Diff) -> Iterator[str]:
    yield f"  veto mismatch = {_yes_or_no(diff.veto_mismatch)}, worth {format_usd(diff.mismatch_usd)}"
    yield (
        f"  size difference = {format_percent(diff.size_pct_diff / 100 if diff.size_pct_diff is not None else None)}"
        f", larger than v6's = {_yes_or_no(diff.is_upsize)}, smaller = {_yes_or_no(diff.is_downsize)}"
        f", executed more than requested = {_yes_or_no(diff.is_overfill)}"
    )
    yield f"  slippage difference = {format_bps(diff.slippage_diff_bps)}, impact = {format_usd(diff.impact_usd)}"
    yield f"  another route = {_yes_or_no(diff.route_mismatch)}"
    for name, value in (
        ("wrong position side", diff.is_position_side_wrong and "yes"),
        ("reduce-only label", diff.reduce_label),
        ("repeats the vetoed decision", diff.retries),
        ("placed by v6 outside of the rollout", diff.outside_rollout),
        ("ignored by", diff.ignored_by),
        ("revises", diff.revision_of),
    ):
        if value:
            yield f"  {name} = {value}"


def _when(epoch_s: float | None) -> str:
    return NOT_MEASURED if epoch_s is None else utc(epoch_s)


def _yes_or_no(value: bool | None) -> str:
    return NOT_MEASURED if value is None else "yes" if value else "no"


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
        yield from _rules(explanation.rules)
    if not risk.allowed:
        yield f"largest quantity that would have passed: {risk.clamped_qty:g}"
    if decision.size_decision is not None:
        yield from _fields("size", asdict(decision.size_decision))
    if decision.router_decision is not None:
        yield from _fields("route", asdict(decision.router_decision))
    if explanation.note:
        yield explanation.note


def _rules(rules: Iterable[RuleReading]) -> Iterator[str]:
    """Each rule that had a limit; those without one by their names, since a desk configures few of them."""
    without: dict[str, None] = {}
    for rule in rules:
        if rule.outcome is Outcome.NOT_CONFIGURED:
            without[rule.limit_keys[0] if rule.limit_keys else rule.reason] = None
        else:
            yield _rule(rule)
    if without:
        names = f"{Outcome.NOT_CONFIGURED}: {', '.join(without)}"
        yield from wrap(names, _WIDTH, initial_indent="  ", subsequent_indent=" " * 18, break_long_words=False)


def _rule(rule: RuleReading) -> str:
    line = f"  {rule.outcome:<14} {rule.reason}{f' ({rule.limit_keys[0]})' if rule.limit_keys else ''}"
    if rule.outcome is Outcome.EXEMPT:
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
