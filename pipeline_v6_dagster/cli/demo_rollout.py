"""The story that `demo --rollout` tells: PASS, approval, a canary on one symbol, a fault, the rollback, the alert."""

from collections.abc import Callable, Iterator
from enum import Enum

import msgspec

from pipeline_v6_dagster.alerts.message import Message
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import BusyError, RefusedError
from pipeline_v6_dagster.domain.rollout import PLACING, RolloutEvent, RolloutState
from pipeline_v6_dagster.logs.alert_outbox import decode_line
from pipeline_v6_dagster.logs.rollout_log import read_rollout, read_rollout_now
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.rollout_reader import RolloutReader
from pipeline_v6_dagster.simulator.v6_orders import V6Orders
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.rollout.act import COMPARE, act
from pipeline_v6_dagster.stages.rollout.announce import announce_moves, describe_record
from pipeline_v6_dagster.stages.rollout.downward import follow_evidence, refresh_rollout, roll_back_if_critical
from pipeline_v6_dagster.stages.rollout.evidence import read_evidence
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_feed
from pipeline_v6_dagster.storage.files import replace_file

PLAN = {"stages": [{"name": "canary", "symbols": "most_traded", "notional_share": 0.5, "min_hours": 24}]}
PLAN["stages"].append({"name": "live", "symbols": "all", "notional_share": 1.0, "min_hours": 0})
_WHO, _FAULT = "demo", "opposite-side"
# Good orders of v6 before its fault begins, and seconds in the stage at least.
_GOOD_ORDERS, _CANARY_S = 3, 20.0
_RUN_EVERY_S = 5.0


class Chapter(Enum):
    """Where the story is."""

    PASS = "waits for a PASS"  # noqa: S105 -- a verdict, not a password
    CANARY = "v6 trades one symbol"
    FAULT = "v6 trades on the wrong side"
    OVER = "rolled back"


class RolloutStory:
    """Trades, and lets the story go on by a step at a time.

    `say` is given every sentence. Unless `runs_stages`, somebody else (Dagster) runs the stages.
    """

    def __init__(
        self, settings: Settings, executor: SimulatedExecutor, say: Callable[[str], None], *, runs_stages: bool
    ) -> None:
        replace_file(settings.rollout_plan, msgspec.json.format(msgspec.json.encode(PLAN), indent=2) + b"\n")
        self.chapter = Chapter.PASS
        self._settings, self._executor, self._say, self._runs_stages = settings, executor, say, runs_stages
        self._now = 0.0
        reader = RolloutReader(settings.rollout_state, lambda: self._now)
        self._orders = V6Orders(reader.is_v6, _FAULT, seed=1)
        executor.obey(lambda is_reducing: reader.may_trade(is_reducing=is_reducing))
        self._ran_ts = self._since_ts = 0.0
        self._told_orders = self._told_faulty = self._told_records = 0

    def step(self, now: float) -> None:
        """What happens up to `now` (epoch s)."""
        self._now = now
        write_feed(self._settings, self._orders.apply(self._executor.run(now)))
        self._tell_orders()
        if self._runs_stages and now - self._ran_ts >= _RUN_EVERY_S:
            self._run_stages(now)
            self._ran_ts = now
        if self.chapter is Chapter.PASS:
            self._try_to_approve(now)
        elif self.chapter is Chapter.CANARY and self._is_canary_shown(now):
            self._say("v6 has a fault from here on: it trades on the opposite side of what it decided")
            self._orders.is_faulty = True
            self._enter(Chapter.FAULT, now)
        self._tell_records(now)

    def _try_to_approve(self, now: float) -> None:
        settings = self._settings
        try:
            if read_rollout_now(settings).state is RolloutState.OFF:
                act(settings, RolloutEvent.BEGIN, _WHO, "the demo begins", lambda: now)
            act(settings, RolloutEvent.APPROVE, _WHO, "the verdict is PASS", lambda: now)
        except (RefusedError, BusyError):
            return  # The next step tries again: the first compare may not have run yet, or has run meanwhile.
        announce_moves(settings, now)
        self._enter(Chapter.CANARY, now)

    def _is_canary_shown(self, now: float) -> bool:
        return len(self._orders.placed) >= _GOOD_ORDERS and now - self._since_ts >= _CANARY_S

    def _enter(self, chapter: Chapter, now: float) -> None:
        self.chapter, self._since_ts = chapter, now

    def _run_stages(self, now: float) -> None:
        settings = self._settings
        limits = load_configuration(settings.risk_limits, settings.pairs_universe).limits
        run_shadow(settings, limits, lambda: now)
        refresh_head(settings, now)
        refresh_rollout(settings, now)
        run_compare(settings, limits, lambda: now)
        roll_back_if_critical(settings, now, COMPARE)
        follow_evidence(settings, read_evidence(settings, now), now, COMPARE)

    def _tell_orders(self) -> None:
        placed, faulty = list(self._orders.placed.items()), self._orders.faulty
        for intent_id, symbol in placed[self._told_orders :]:
            self._say(f"v6 places {intent_id} in {symbol}")
        for intent_id in faulty[self._told_faulty :]:
            self._say(f"injected: {intent_id} is on the opposite side of what v6 decided")
        self._told_orders, self._told_faulty = len(placed), len(faulty)

    def _tell_records(self, now: float) -> None:
        records, _ = read_rollout(self._settings)
        for record in records[self._told_records :]:
            self._say(describe_record(record))
        self._told_records = len(records)
        is_down = bool(records) and records[-1].state not in PLACING
        if self.chapter in (Chapter.CANARY, Chapter.FAULT) and is_down:
            spent_s = now - self._since_ts
            for message in self._messages():
                self._say(f"alert: {message.severity} {message.text}")
            self._say(f"{self.chapter.value}: over after {spent_s:.0f} s; the executor trades as it did without v6")
            self._enter(Chapter.OVER, now)

    def _messages(self) -> Iterator[Message]:
        for line in self._settings.alert_outbox.read_bytes().splitlines():
            message = decode_line(line)
            if isinstance(message, Message) and message.name == "rollout_moved" and message.severity == "ERROR":
                yield message
