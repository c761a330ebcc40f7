"""What orders of v6 are held against: the history of the rollout, which is read only where there are any."""

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.comparison import Diff
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.live import Leg
from pipeline_v6_dagster.domain.rollout import RolloutPast
from pipeline_v6_dagster.logs.rollout_log import read_rollout
from pipeline_v6_dagster.rollout.allowance import legs_by_v6, why_outside


class RolloutWatch:
    """Says of the diffs of one run whether v6 placed an order that it was not let place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._past: RolloutPast | None = None

    def judge(self, diff: Diff, before: Diff | None) -> None:
        """Set `diff.outside_rollout`. Orders that were judged before keep their judgement.

        Raises:
            StorageError: the history cannot be read.
        """
        legs = _legs(diff)
        if not legs:
            return
        if before is not None and _names(_legs(before)) == _names(legs):
            diff.outside_rollout = before.outside_rollout
            return
        was_read = self._past is not None
        why = self._why_outside(diff, legs)
        if why is not None and was_read:
            # The rollout may have moved since this run has read its history.
            self._past = None
            why = self._why_outside(diff, legs)
        diff.outside_rollout = why

    def _why_outside(self, diff: Diff, legs: tuple[Leg, ...]) -> str | None:
        if self._past is None:
            self._past = self._read()
        symbol = diff.symbol if diff.live is None else diff.live.symbol or diff.symbol
        return why_outside(self._past, legs, symbol, diff.intent_id)

    def _read(self) -> RolloutPast:
        try:
            records, _ = read_rollout(self._settings)
        except DataError:
            return RolloutPast()  # As the executor takes a history that is none: v6 is off.
        return RolloutPast(records)


def _legs(diff: Diff) -> tuple[Leg, ...]:
    return () if diff.live is None else legs_by_v6(diff.live.legs)


def _names(legs: tuple[Leg, ...]) -> set[tuple[str, float]]:
    return {(leg.order_id, leg.first_ts) for leg in legs}
