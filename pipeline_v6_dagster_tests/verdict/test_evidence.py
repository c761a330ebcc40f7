"""Whether the evidence can carry a verdict."""

from dataclasses import replace
from math import nextafter

import pytest

from pipeline_v6_dagster.domain.summary import Coverage
from pipeline_v6_dagster.domain.verdict import EvidenceGap, EvidenceLimits, EvidenceQuality
from pipeline_v6_dagster.verdict.evidence import gaps_in, quality_of

NOW = 1_790_000_000.0
LIMITS = EvidenceLimits(
    max_malformed_ratio=0.01,
    max_unresolved_ratio=0.05,
    max_time_pair_ratio=0.5,
    max_live_only_ratio=0.05,
    max_unsized_ratio=0.05,
    max_live_age_s=600.0,
)
GOOD = EvidenceQuality(
    malformed_ratio=0.0,
    unresolved_ratio=0.0,
    time_pair_ratio=0.0,
    live_only_ratio=0.0,
    unsized_ratio=0.0,
    newest_live_ts=NOW,
)


def names(quality: EvidenceQuality) -> list[EvidenceGap]:
    return [gap for gap, _ in gaps_in(quality, LIMITS, NOW)]


def test_good_evidence_has_no_gap() -> None:
    assert names(GOOD) == []


@pytest.mark.parametrize(
    ("field", "most", "gap", "words"),
    [
        ("malformed_ratio", 0.01, EvidenceGap.MALFORMED_LINES, "malformed, 1% at most"),
        ("unresolved_ratio", 0.05, EvidenceGap.UNRESOLVED_DECISIONS, "no live outcome, 5% at most"),
        ("time_pair_ratio", 0.5, EvidenceGap.TIME_PAIRS, "by time alone, 50% at most"),
        ("live_only_ratio", 0.05, EvidenceGap.LIVE_ONLY_ORDERS, "no decision, 5% at most"),
        ("unsized_ratio", 0.05, EvidenceGap.UNSIZED_ORDERS, "no size to compare, 5% at most"),
    ],
)
def test_above_its_limit_a_share_is_a_gap_with_its_name(field: str, most: float, gap: EvidenceGap, words: str) -> None:
    assert names(replace(GOOD, **{field: most})) == []
    ((found, text),) = gaps_in(replace(GOOD, **{field: nextafter(most, 1)}), LIMITS, NOW)
    assert found is gap
    assert words in text


def test_a_share_of_nothing_is_no_gap() -> None:
    nothing = EvidenceQuality(None, None, None, None, None, newest_live_ts=NOW)
    assert names(nothing) == []


def test_a_live_log_that_is_old_or_empty_is_a_gap() -> None:
    assert names(replace(GOOD, newest_live_ts=NOW - 600)) == []
    assert names(replace(GOOD, newest_live_ts=NOW - 601)) == [EvidenceGap.STALE_LIVE_LOG]
    assert names(replace(GOOD, newest_live_ts=None)) == [EvidenceGap.STALE_LIVE_LOG]


def test_a_live_row_from_the_future_does_not_tell_that_the_executor_runs() -> None:
    assert names(replace(GOOD, newest_live_ts=NOW + 600)) == []
    ((gap, text),) = gaps_in(replace(GOOD, newest_live_ts=NOW + 601), LIMITS, NOW)
    assert gap is EvidenceGap.STALE_LIVE_LOG
    assert "in the future; see to the clocks" in text


def test_the_shares_are_of_decisions_pairs_and_orders() -> None:
    coverage = Coverage(
        matched=80, live_only=25, unresolved=15, by_method={"intent_id": 60, "time": 20}, executed=50, unsized=5
    )
    found = quality_of(coverage, 100, 0.003, NOW)
    assert found == EvidenceQuality(0.003, 0.15, 0.25, 0.2, 0.1, NOW)
    assert quality_of(Coverage(0, 0, 0, {}, 0, 0), 0, None, None) == EvidenceQuality(None, None, None, None, None, None)
