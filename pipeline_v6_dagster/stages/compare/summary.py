"""The summary: what the newest diffs add up to, the verdict on the epoch, and the file where dashboards find both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from pipeline_v6_dagster.compare.control import measure_control
from pipeline_v6_dagster.compare.summary import newest_states, summarise
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.ignoring import IgnoreRule
from pipeline_v6_dagster.domain.summary import EpochSummary, EvidencePart, InputQuality, Summary
from pipeline_v6_dagster.logs.compare_log import Cursor, InputCounts, encode_summary_file, newest_summary
from pipeline_v6_dagster.stages.compare.identity import verdict_policy
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.storage.log_names import all_rotations, unreadable_rotations
from pipeline_v6_dagster.verdict.criteria import evaluate_all
from pipeline_v6_dagster.verdict.decide import decide
from pipeline_v6_dagster.verdict.epochs import epoch_facts
from pipeline_v6_dagster.verdict.evidence_state import EpochEvidence
from pipeline_v6_dagster.verdict.facts import Facts, IgnoreRuleFacts, InputFacts, LogFacts
from pipeline_v6_dagster.verdict.policy import GATE_WINDOW, VerdictPolicy
from pipeline_v6_dagster.verdict.status import choose_status
from pipeline_v6_dagster.verdict.sufficiency import covered_symbols
from pipeline_v6_dagster.verdict.window import WindowEvidence, window_evidence


@dataclass(slots=True, kw_only=True)
class SummaryContent:
    """What a summary is made from besides diffs: the same throughout a run but for the cursor, which moves on."""

    settings: Settings
    config_hash: str
    policy: ComparePolicy
    rules: Sequence[IgnoreRule]
    cursor: Cursor
    now: float
    undecided_since_ts: float | None = None


def make_summary(content: SummaryContent, newest_first: Iterable[Diff]) -> Summary:
    """The summary as the compare log and its file hold it. `newest_first` is read as far as the windows reach."""
    settings, cursor = content.settings, content.cursor
    newest = newest_states(newest_first, max(settings.compare_limit, GATE_WINDOW))
    window = newest_states(newest, settings.compare_limit)
    stats = summarise(window, settings.compare_limit, settings.min_sample)
    policy = verdict_policy(settings)
    facts = gather_facts(
        settings, cursor, content.rules, window_evidence(newest, cursor.evidence, policy.compare_limit)
    )
    criteria = evaluate_all(cursor.evidence, facts, policy)
    covered, missing = covered_symbols(cursor.evidence, policy)
    decision = decide(criteria, stats.sample_size, stats.is_warmup, covered, missing)
    return Summary(
        **{each.name: getattr(stats, each.name) for each in fields(stats)},
        generated_ts=content.now,
        status=choose_status(stats),
        verdict=decision.verdict,
        verdict_reasons=decision.reasons,
        criteria=criteria,
        failed_criteria=decision.failed_criteria,
        passed_symbols=decision.passed_symbols,
        not_covered=decision.not_covered,
        epoch=_describe_epoch(facts, policy, cursor.evidence),
        aa_control=measure_control(window, content.policy),
        input_quality={name: _quality(counts) for name, counts in _inputs(settings, cursor).items()},
        newest_live_ts=cursor.newest_live_ts,
        newest_decision_ts=cursor.newest_decision_ts,
        undecided_since_ts=content.undecided_since_ts,
        open_decisions=len(cursor.open.decisions),
        config_hash=content.config_hash,
        totals=cursor.totals,
    )


def gather_facts(
    settings: Settings, cursor: Cursor, rules: Sequence[IgnoreRule], window: WindowEvidence | None = None
) -> Facts:
    """What the criteria need besides the diffs, as far as the logs tell it."""
    processes = cursor.processes
    paths = {
        "order_attempts": settings.order_attempts,
        "orders_executed": settings.orders_executed,
        "risk_vetoes": settings.risk_vetoes,
        "order_metrics": settings.order_metrics,
        "position_state": settings.position_state,
        "shadow_log": settings.shadow_log,
    }
    inputs = tuple(
        InputFacts(
            name=name,
            lines=counts.lines,
            recent_malformed_ratio=counts.recent_malformed_ratio,
            dropped_order_rows=counts.dropped_order_rows,
            lost_bytes=counts.lost_bytes,
            is_replaced=counts.is_offset_lost,
            is_missing=counts.lines > 0 and not paths[name].exists() and not all_rotations(paths[name]),
            unreadable_rotations=tuple(path.name for path in unreadable_rotations(paths[name])),
        )
        for name, counts in _inputs(settings, cursor).items()
    )
    return Facts(
        log=LogFacts(
            epoch=epoch_facts(cursor.epoch, settings.verdict_error_rate),
            inputs=inputs,
            twice_acked_ids=tuple(processes.conflicts) if processes.processes else None,
            returns_per_hour=processes.most_returns if processes.processes else None,
            ignore_rules=tuple(IgnoreRuleFacts(name=rule.name, expires_ts=rule.expires_ts) for rule in rules),
        ),
        window=WindowEvidence() if window is None else window,
    )


def _inputs(settings: Settings, cursor: Cursor) -> dict[str, InputCounts]:
    """The counts of each input by name. What we write is no input; what an external shadow decides from is not ours."""
    not_an_input = "order_attempts" if settings.shadow_source is ShadowSource.EXTERNAL else "shadow_log"
    return {name: counts for name, counts in sorted(cursor.counts.items()) if name != not_an_input}


def _describe_epoch(facts: Facts, policy: VerdictPolicy, evidence: EpochEvidence) -> EpochSummary:
    epoch, by_v6 = facts.log.epoch, evidence.by_v6
    return EpochSummary(
        identity=epoch.identity,
        since_ts=epoch.since_ts,
        newest_ts=epoch.newest_ts,
        number=epoch.k,
        uncounted_restarts=epoch.uncounted_restarts,
        error_rate=epoch.level,
        max_mismatch_ratio=policy.max_mismatch_ratio,
        shadow=EvidencePart(
            evidence.decisions - by_v6.decisions,
            evidence.executed - by_v6.executed,
            evidence.mismatches - by_v6.mismatches,
        ),
        live=EvidencePart(by_v6.decisions, by_v6.executed, by_v6.mismatches),
    )


def _quality(counts: InputCounts) -> InputQuality:
    return InputQuality(
        lines=counts.lines,
        malformed_ratio=counts.malformed_ratio,
        recent_malformed_ratio=counts.recent_malformed_ratio,
        unusable=dict(sorted(counts.unusable.items())),
        is_offset_lost=counts.is_offset_lost,
        lost_bytes=counts.lost_bytes,
        newest_ts=counts.newest_ts,
    )


def write_summary(settings: Settings, log: JsonlLog) -> Summary:
    """Project the newest summary of the compare log into its file; the log is the authority.

    Raises:
        DataError: the compare log has no summary yet.
        StorageError: the log cannot be read or the file not be written.
    """
    summary = newest_summary(log)
    if summary is None:
        raise DataError(f"{log.path}: holds no summary yet; run pipeline-v6 compare")
    replace_file(settings.compare_summary, encode_summary_file(summary))
    return summary
