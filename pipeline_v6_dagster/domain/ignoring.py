"""Ignore rules: differences that somebody has looked into and answers for, until a date."""

from dataclasses import dataclass

from pipeline_v6_dagster.domain.comparison import Diff


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule:
    """One rule. It holds for decisions made before `expires_ts` (epoch s) that have all of its fields; None: any."""

    name: str
    owner: str
    reason: str
    expires_ts: float
    symbol: str | None = None
    side: str | None = None
    intent_id: str | None = None
    mismatch_kind: str | None = None
    root_cause: str | None = None

    def holds_for(self, diff: Diff) -> bool:
        """Whether the diff is to be ignored. Told by its own time, so that a rebuild ignores the same."""
        if diff.ts >= self.expires_ts:
            return False
        wanted = (self.symbol, self.side, self.intent_id, self.mismatch_kind, self.root_cause)
        found = (diff.symbol, diff.side, diff.intent_id, diff.mismatch_kind, diff.root_cause)
        return all(want is None or want == have for want, have in zip(wanted, found, strict=True))
