"""The attempts log as a comparison sees it: which attempts await a decision, and whether it is what was decided."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.logs.compare_log import Cursor
from pipeline_v6_dagster.logs.shadow_log import follow_attempts, open_shadow_log
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.sources.merge_by_time import LOOKAHEAD_ROWS
from pipeline_v6_dagster.stages.compare.inputs import ATTEMPTS, Decisions, hash_tail, is_edited
from pipeline_v6_dagster.storage.follow import Follower


class Undecided(NamedTuple):
    """`first_ts` is the earliest as-of time of an attempt without a decision (epoch s), None if all are decided.

    `lost_after` is the digest of the last line that was decided, if what had been decided is not in the log any more,
    was edited, or a rotation is damaged; else None.
    """

    first_ts: float | None = None
    lost_after: str | None = None

    def losses(self) -> Iterator[tuple[str, str, int]]:
        """As `CompareInputs.losses`. How many bytes are gone stands in the next decision."""
        if self.lost_after is not None:
            yield ATTEMPTS, self.lost_after, 0


def find_undecided(settings: Settings, decisions: Decisions | None = None, cursor: Cursor | None = None) -> Undecided:
    """The attempts that neither the shadow nor `decisions` decide. Notes in the cursor how the log ends.

    Nothing from the first of them on can be settled: a decision that is still to come may explain it. The first of
    them are enough, as many as one whose clock was ahead may stand before.

    Raises:
        StorageError: the attempts log cannot be read.
    """
    if settings.shadow_source is ShadowSource.EXTERNAL:
        return Undecided()
    undecided = (
        follow_attempts(settings, open_shadow_log(settings))
        if decisions is None
        else Follower(settings.order_attempts, decisions.read_to)
    )
    with undecided as follower:
        attempts = (parse_attempt(line.raw) for line in follower.lines())
        times = (attempt.as_of for attempt in attempts if isinstance(attempt, Attempt))
        first_ts = min(islice(times, LOOKAHEAD_ROWS), default=None)
        is_lost = follower.is_offset_lost or bool(follower.damaged)
        if cursor is not None:
            is_lost = is_lost or is_edited(follower, cursor, ATTEMPTS)
            if follower.offset is not None:
                cursor.read[ATTEMPTS] = follower.offset
                hash_tail(follower, cursor, ATTEMPTS)
        after = "" if follower.offset is None else follower.offset.digest
        return Undecided(first_ts, after if is_lost else None)
