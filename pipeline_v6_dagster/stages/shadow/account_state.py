"""The rolling state of the account over a run: found again from the shadow log, carried on, and written down there."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Self

from msgspec import Raw

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.logs.shadow_log import (
    Checkpoint,
    DecidedAttempt,
    encode_checkpoint,
    encode_limits,
    parse_checkpoint,
    parse_decided,
)
from pipeline_v6_dagster.logs.trading_states import read_trading_states
from pipeline_v6_dagster.shadow.attempt_window import MAX_ATTEMPTS
from pipeline_v6_dagster.shadow.decided import note_decision
from pipeline_v6_dagster.shadow.rolling import RollingState
from pipeline_v6_dagster.sources.merge_by_time import OrderedRows, Timed, in_time_order
from pipeline_v6_dagster.stages.shadow.account_events import CLOCK_ERROR_S, AccountFeed
from pipeline_v6_dagster.stages.shadow.trading_day import trading_day_bounds
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog

# A row carries a checkpoint after so many decisions, or so many account events, since the last one: what a run must
# go through again before it goes on. Counted in the logs themselves, so that runs may begin and end anywhere.
CHECKPOINT_DECISIONS = 500
CHECKPOINT_EVENTS = 5000


class AccountHistory:
    """The state as of the newest decision, and as of each attempt that comes after it.

    A context manager: it holds the live logs open.
    """

    def __init__(self, settings: Settings, limits: Limits, engine_version: str, log: JsonlLog) -> None:
        self._stack = ExitStack()
        self._limits = encode_limits(limits)
        self._written_by = (limits.config_hash, engine_version)
        newest_first, checkpoint = _read_back(log)
        self._last_written_by: tuple[str, str] | None = None
        if newest_first:
            newest = newest_first[0]
            self._last_written_by = (newest.config_hash, newest.engine_version)
        index, found = checkpoint if checkpoint is not None else (len(newest_first) - 1, None)
        self._older, self._replayed = newest_first[index + 1 :], newest_first[: index + 1]
        self.account = RollingState(
            limits,
            trading_day_bounds(limits.reset_timezone),
            None if found is None else found.account,
            settings.match_tolerance_s,
            read_trading_states(settings),
        )
        read, known_until = ({}, 0.0) if found is None else (found.read, newest_first[index].timestamp)
        self._feed = AccountFeed(settings, read, known_until)
        self._decisions = CHECKPOINT_DECISIONS if found is None else len(self._replayed)
        self._taken = 0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._feed)
        for row in reversed(self._older):
            self._note(row, nav_usd=None)  # Peak and pending orders of that time stand in the checkpoint.
        self._older = []
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def bring_to(self, attempts: Iterator[Timed]) -> Iterator[Timed]:
        """Each attempt, [time, what else], once the state is as of it; it is to be noted in `account` before the next.

        One whose clock was wrong, as those before and after it tell, takes in no more than they do.
        """
        count, replayed = len(self._replayed), reversed(self._replayed)
        self._replayed = []
        decided = ([row.timestamp, row] for row in replayed)
        in_order = in_time_order([OrderedRows(chain(decided, attempts), CLOCK_ERROR_S)])
        for number, attempt in enumerate(in_order):
            self._feed.until(attempt[0], self.account.apply)
            if number < count:
                row = attempt[1]
                self._note(row, row.intent.nav_usd)
                note_decision(self.account, row.intent, row.state, row.timestamp, row.size_decision)
            else:
                yield attempt

    def checkpoint(self) -> bytes | None:
        """The checkpoint, where the decision that comes now is to carry one."""
        is_due = (
            self._decisions >= CHECKPOINT_DECISIONS
            or self._feed.taken - self._taken >= CHECKPOINT_EVENTS
            or self._written_by != self._last_written_by
        )
        if not is_due:
            self._decisions += 1
            return None
        self._decisions, self._taken, self._last_written_by = 1, self._feed.taken, self._written_by
        return encode_checkpoint(self._limits, self.account.state, self._feed.read_to())

    @property
    def lost(self) -> tuple[str, ...]:
        """The live logs in which the place to go on from was not found."""
        return self._feed.lost

    def _note(self, row: DecidedAttempt, nav_usd: float | None) -> None:
        intent = row.intent
        self.account.note_attempt(
            row.timestamp,
            intent.symbol,
            intent.side,
            intent.qty,
            intent.intent_id,
            nav_usd,
            is_allowed=row.risk_decision.allowed,
        )


def _read_back(log: JsonlLog) -> tuple[list[DecidedAttempt], tuple[int, Checkpoint] | None]:
    """The newest decisions, newest first, and (index among them, checkpoint) of the newest that carries one."""
    rows: list[DecidedAttempt] = []
    checkpoint = None
    for line in log.backward():
        row = parse_decided(line)
        if row is None:
            continue
        if checkpoint is None and row.checkpoint:
            found = parse_checkpoint(row.checkpoint)
            if found is not None:
                checkpoint = len(rows), found
        row.checkpoint = Raw()
        rows.append(row)
        if len(rows) >= MAX_ATTEMPTS:
            break
    return rows, checkpoint
