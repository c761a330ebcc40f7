"""A desk with a PASS: a simulated executor, all stages, a rollout. Time moves only as the test says."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutFile, RolloutRecord
from pipeline_v6_dagster.logs.rollout_file import read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import read_rollout_now
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.simulator.fault_table import FAULT_TABLE
from pipeline_v6_dagster.simulator.row_injector import RowInjector
from pipeline_v6_dagster.stages.compare.run import run_compare
from pipeline_v6_dagster.stages.rollout.act import COMPARE, act
from pipeline_v6_dagster.stages.rollout.downward import follow_evidence, refresh_rollout, roll_back_if_critical
from pipeline_v6_dagster.stages.rollout.evidence import read_evidence
from pipeline_v6_dagster.stages.rollout.status import RolloutReport, read_rollout_status
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed
from pipeline_v6_dagster_tests.homes import START_TS, fixed, make_settings

# So lenient that two hours of trading pass.
LENIENT = {
    "PIPELINE_VERDICT_MIN_DAYS": "0",
    "PIPELINE_VERDICT_MIN_ORDERS": "20",
    "PIPELINE_VERDICT_MIN_ORDERS_PER_SYMBOL": "5",
    "PIPELINE_VERDICT_MAX_MISMATCH": "0.5",
    "PIPELINE_VERDICT_ERROR_RATE": "0.5",
    "PIPELINE_COMPARE_MIN_SAMPLE": "100",
}
HISTORY_S = 7200.0
PLAN = {
    "stages": [
        {"name": "one", "symbols": "most_traded", "notional_share": 0.1, "min_hours": 0.5},
        {"name": "all", "symbols": "all", "notional_share": 0.5, "min_hours": 0},
        {"name": "full", "symbols": "all", "notional_share": 1, "min_hours": 0},
    ]
}


class Desk:
    """An executor that trades, and the pipeline beside it. `now` is epoch s."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.settings = make_settings(home, **(LENIENT | environ))
        write_configuration(self.settings)
        self.plan(PLAN)
        self.executor = SimulatedExecutor(7, START_TS, 0.03)
        self.now = START_TS
        self.trade(HISTORY_S)
        self.tick()

    def copied(self, home: Path) -> "Desk":
        """The same desk in a copy of its home, which has not traded on since; what it trades next is the same."""
        shutil.copytree(self.settings.home, home)
        copy = object.__new__(Desk)
        places = {"PIPELINE_V6_HOME": home, "PIPELINE_V6_LOGS_DIR": home / "logs"}
        places |= {"PIPELINE_V6_CONFIG_DIR": home / "config"}
        copy.settings = type(self.settings).model_validate(self.settings.model_dump(by_alias=True) | places)
        copy.executor, copy.now = SimulatedExecutor(7, START_TS, 0.03), self.now
        for _ in copy.executor.run(self.now):
            pass
        return copy

    def plan(self, content: dict[str, Any]) -> None:
        """Configure the stages."""
        self.settings.rollout_plan.write_text(json.dumps(content))

    def trade(self, seconds: float, fault: str | None = None) -> None:
        """Let time go by; with a fault, every order that can have it does."""
        self.now += seconds
        lines = self.executor.run(self.now)
        if fault is None:
            write_feed(self.settings, lines)
            return
        rows = FAULT_TABLE[fault].rows
        assert rows is not None
        write_feed(self.settings, RowInjector(fault, rows, random.Random(1)).apply(lines))  # noqa: S311 -- repeatable, not secret

    def tick(self) -> RolloutRecord | None:
        """All stages, as commands and daemon run them; returns what it recorded of the rollout."""
        self.compare()
        return self.follow()

    def compare(self) -> None:
        """Decide, refresh and compare."""
        limits = load_configuration(self.settings.risk_limits, self.settings.pairs_universe).limits
        run_shadow(self.settings, limits, fixed(self.now))
        refresh_head(self.settings, self.now)
        refresh_rollout(self.settings, self.now)
        run_compare(self.settings, limits, fixed(self.now))

    def follow(self) -> RolloutRecord | None:
        """What compare does once it has written a summary."""
        rolled_back = roll_back_if_critical(self.settings, self.now, COMPARE)
        followed = self.look(COMPARE)
        return rolled_back or followed

    def look(self, by: str) -> RolloutRecord | None:
        """Follow the evidence as of now, as compare and the sensor do."""
        return follow_evidence(self.settings, read_evidence(self.settings, self.now), self.now, by)

    def act(self, event: RolloutEvent, by: str = "alice") -> RolloutRecord:
        """What a person does, which the history records."""
        done = act(self.settings, event, by, "as planned", fixed(self.now))
        assert isinstance(done, RolloutRecord)
        return done

    def begin_canary(self) -> None:
        """Into the first stage."""
        self.act(RolloutEvent.BEGIN)
        self.act(RolloutEvent.APPROVE)

    @property
    def rollout(self) -> Rollout:
        """Where the rollout stands."""
        return read_rollout_now(self.settings)

    @property
    def file(self) -> RolloutFile:
        """What the executor is told."""
        found = read_rollout_file(self.settings)
        assert isinstance(found, RolloutFile)
        return found

    def report(self) -> RolloutReport:
        """What `rollout status` says."""
        return read_rollout_status(self.settings, self.now)


def copy_home(template: Path, home: Path) -> Path:
    """A home of its own for a test that starts where another has been."""
    shutil.copytree(template, home)
    return home
