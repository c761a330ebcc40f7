"""The summary: what the newest diffs add up to, the verdict on them, and the file where dashboards look for both."""

from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline_v6_dagster.compare.control import measure_control
from pipeline_v6_dagster.compare.summary import newest_states, summarise
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.comparison import ComparePolicy, Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.verdict import EvidenceLimits, SequentialPlan, VerdictPolicy
from pipeline_v6_dagster.logs.compare_log import Cursor, InputCounts, newest_summary
from pipeline_v6_dagster.stages.compare.inputs import ATTEMPTS, SHADOW_LOG
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog
from pipeline_v6_dagster.verdict.evidence import gaps_in, quality_of
from pipeline_v6_dagster.verdict.sequential import SequentialTest
from pipeline_v6_dagster.verdict.status import judge, status_of


def verdict_policy(settings: Settings) -> VerdictPolicy:
    """What the settings say of a verdict."""
    return VerdictPolicy(
        limits=EvidenceLimits(
            max_malformed_ratio=settings.max_malformed_ratio,
            max_unresolved_ratio=settings.max_unresolved_ratio,
            max_time_pair_ratio=settings.max_time_pair_ratio,
            max_live_only_ratio=settings.max_live_only_ratio,
            max_unsized_ratio=settings.max_unsized_ratio,
            max_live_age_s=settings.max_live_age_s,
        ),
        plan=SequentialPlan(
            acceptable_ratio=settings.acceptable_mismatch_ratio,
            unacceptable_ratio=settings.unacceptable_mismatch_ratio,
            false_fail_ratio=settings.false_fail_ratio,
            false_pass_ratio=settings.false_pass_ratio,
        ),
    )


def make_summary(
    settings: Settings,
    config_hash: str,
    policy: ComparePolicy,
    newest_first: Iterable[Diff],
    cursor: Cursor,
    test: SequentialTest,
    now: float,
) -> dict[str, Any]:
    """The summary as the compare log and its file hold it. `newest_first` is read as far as the window reaches."""
    # What we write ourselves is no input; what the executor decides from is none of ours to count.
    not_an_input = ATTEMPTS if settings.shadow_source is ShadowSource.EXTERNAL else SHADOW_LOG
    inputs = {name: counts for name, counts in sorted(cursor.counts.items()) if name != not_an_input}
    window = newest_states(newest_first, settings.compare_limit)
    summary = summarise(window, settings.compare_limit, settings.min_sample)
    malformed = [ratio for counts in inputs.values() if (ratio := counts.recent_malformed_ratio) is not None]
    quality = quality_of(summary.coverage, summary.sample_size, max(malformed, default=None), cursor.newest_live_ts)
    gaps = gaps_in(quality, verdict_policy(settings).limits, now)
    status = status_of(summary)
    report = test.report()
    judgement = judge(summary, status, [words for _, words in gaps], report)
    content: dict[str, Any] = {"generated_ts": now}
    content.update(msgspec.to_builtins(summary))
    content["status"] = status.value
    content["verdict"] = judgement.verdict.value
    content["verdict_reasons"] = list(judgement.reasons)
    content["evidence"] = msgspec.to_builtins(quality) | {"gaps": [gap.value for gap, _ in gaps]}
    content["aa_control"] = msgspec.to_builtins(measure_control(window, policy))
    content["sequential_test"] = msgspec.to_builtins(report)
    content["input_quality"] = {name: _shown(counts) for name, counts in inputs.items()}
    content["newest_live_ts"] = cursor.newest_live_ts
    content["open_decisions"] = len(cursor.open.decisions)
    content["config_hash"] = config_hash
    content["totals"] = msgspec.to_builtins(cursor.totals)
    return content


def _shown(counts: InputCounts) -> dict[str, Any]:
    return {
        "lines": counts.lines,
        "malformed_ratio": counts.malformed_ratio,
        "unusable": dict(sorted(counts.unusable.items())),
        "is_offset_lost": counts.is_offset_lost,
        "lost_bytes": counts.lost_bytes,
    }


def write_summary(settings: Settings, log: JsonlLog) -> dict[str, Any]:
    """Project the newest summary of the compare log into its file; the log is the authority.

    Raises:
        DataError: the compare log has no summary yet.
        StorageError: the log cannot be read or the file not be written.
    """
    summary = newest_summary(log)
    if summary is None:
        raise DataError(f"{log.path}: holds no summary yet; run pipeline-v6 compare")
    replace_file(settings.compare_summary, msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return summary
