"""Whether the evidence can carry a verdict at all: bad evidence never reads as agreement."""

from collections.abc import Callable

from pipeline_v6_dagster.domain.summary import Coverage
from pipeline_v6_dagster.domain.verdict import EvidenceGap, EvidenceLimits, EvidenceQuality

# A stray torn line is normal; one in a hundred is a producer that writes something else.
MAX_MALFORMED_RATIO = 0.01
# What may be missing without changing the answer: decisions without a live outcome, live orders without a decision,
# executed orders without a size. Beyond it, the missing ones could outweigh the mismatches that a PASS allows.
MAX_UNCOVERED_RATIO = 0.05
# Pairs by time alone are guesses; with more guesses than ids, the comparison is one.
MAX_TIME_PAIR_RATIO = 0.5
# One day: an executor that trades at all logs an order or a veto within it.
MAX_LIVE_AGE_S = 86_400.0


def quality_of(
    coverage: Coverage,
    sample_size: int,
    malformed_ratio: float | None,
    newest_live_ts: float | None,
) -> EvidenceQuality:
    """The quality of a window's evidence."""
    return EvidenceQuality(
        malformed_ratio=malformed_ratio,
        unresolved_ratio=_share(coverage.unresolved, sample_size),
        time_pair_ratio=_share(coverage.by_method.get("time", 0), coverage.matched),
        live_only_ratio=_share(coverage.live_only, sample_size + coverage.live_only),
        unsized_ratio=_share(coverage.unsized, coverage.executed),
        newest_live_ts=newest_live_ts,
    )


def gaps_in(quality: EvidenceQuality, limits: EvidenceLimits, now: float) -> tuple[tuple[EvidenceGap, str], ...]:
    """Every limit that the evidence does not keep, and what to say of it. `now` is epoch s."""
    gaps: list[tuple[EvidenceGap, str]] = []
    shares: tuple[tuple[EvidenceGap, float | None, float, Callable[[float, float], str]], ...] = (
        (
            EvidenceGap.MALFORMED_LINES,
            quality.malformed_ratio,
            limits.max_malformed_ratio,
            lambda found, most: f"{found:.1%} of the newest lines of a log are malformed, {most:.0%} at most",
        ),
        (
            EvidenceGap.UNRESOLVED_DECISIONS,
            quality.unresolved_ratio,
            limits.max_unresolved_ratio,
            lambda found, most: f"{found:.1%} of decisions have no live outcome, {most:.0%} at most",
        ),
        (
            EvidenceGap.TIME_PAIRS,
            quality.time_pair_ratio,
            limits.max_time_pair_ratio,
            lambda found, most: f"{found:.1%} of pairs were made by time alone, {most:.0%} at most",
        ),
        (
            EvidenceGap.LIVE_ONLY_ORDERS,
            quality.live_only_ratio,
            limits.max_live_only_ratio,
            lambda found, most: f"{found:.1%} of live orders have no decision, {most:.0%} at most",
        ),
        (
            EvidenceGap.UNSIZED_ORDERS,
            quality.unsized_ratio,
            limits.max_unsized_ratio,
            lambda found, most: f"{found:.1%} of executed orders have no size to compare, {most:.0%} at most",
        ),
    )
    for gap, found, most, words in shares:
        if found is not None and found > most:
            gaps.append((gap, words(found, most)))
    if quality.newest_live_ts is None:
        gaps.append((EvidenceGap.STALE_LIVE_LOG, "the live executor has logged no order and no veto"))
    elif now - quality.newest_live_ts > limits.max_live_age_s:
        # Without the age itself: the same evidence has to read the same in every run.
        gaps.append(
            (
                EvidenceGap.STALE_LIVE_LOG,
                f"the newest live row is older than {_age(limits.max_live_age_s)}; see that the executor runs",
            )
        )
    elif quality.newest_live_ts - now > limits.max_live_age_s:  # Which tells nothing of when it was logged.
        gaps.append(
            (
                EvidenceGap.STALE_LIVE_LOG,
                f"the newest live row is more than {_age(limits.max_live_age_s)} in the future; see to the clocks",
            )
        )
    return tuple(gaps)


def _age(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:g} h" if hours.is_integer() else f"{seconds:g} s"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
