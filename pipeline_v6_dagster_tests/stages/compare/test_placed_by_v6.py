"""Orders that v6 placed are judged by the same criteria, and the epoch says which part of its evidence they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.domain.rollout import EpochKey, RolloutEvent, RolloutPlan, StagePlan
from pipeline_v6_dagster.domain.summary import EvidencePart, Summary, Verdict
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log, read_rollout_now
from pipeline_v6_dagster.rollout.allowance import draw
from pipeline_v6_dagster.rollout.moves import approve, make_record
from pipeline_v6_dagster.simulator.rollout_reader import RolloutReader
from pipeline_v6_dagster.verdict.evidence_state import WITHIN_ROLLOUT
from pipeline_v6_dagster_tests.live_builders import T0, Home, ack_row, attempt_row, fill_row
from pipeline_v6_dagster_tests.rollout.evidence import evidence, person

V6 = {"placed_by": "v6"}
EPOCH = EpochKey("e" * 16, T0 - 14 * 86_400)
# When the order of a test is attempted, acked and compared.
ORDER_AT, COMPARED_AT = 1000.0, 5000.0


def with_orders(home: Home, *placers: object) -> None:
    """One executed order for each; None is placed by live."""
    for number, placer in enumerate(placers):
        at, name = 10.0 * number, str(number)
        by = {} if placer is None else {"placed_by": placer}
        home.attempts(attempt_row(at, name))
        home.orders(ack_row(at + 1, name) | by, fill_row(at + 2, name))


def test_the_epoch_says_which_part_of_its_evidence_is_shadow_and_which_live(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with_orders(home, None, "v6", "v6", None, None)
    epoch = home.run(5000).summary.epoch
    assert (epoch.shadow, epoch.live) == (EvidencePart(3, 3, 0), EvidencePart(2, 2, 0))
    assert home.compare(5000, rebuild=True).summary.epoch == epoch


def test_an_order_of_v6_on_the_wrong_side_breaks_the_same_criterion(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with_orders(home, None, None)
    home.attempts(attempt_row(100, "x"))
    home.orders(ack_row(101, "x") | {"placed_by": "v6", "side": "SELL"}, fill_row(102, "x") | {"side": "SELL"})
    summary = home.run(5000).summary
    assert summary.verdict is Verdict.FAIL
    assert "same_side" in summary.failed_criteria
    assert summary.epoch.live.mismatches == 1


@pytest.mark.parametrize("odd", [7, "", ["v6"], "other"])
def test_a_placer_that_is_not_v6_is_live_and_drops_no_order(tmp_path: Path, odd: object) -> None:
    home = Home(tmp_path)
    with_orders(home, odd)
    epoch = home.run(5000).summary.epoch
    assert (epoch.shadow.executed, epoch.live.executed) == (1, 0)


def move(home: Home, *events: RolloutEvent, at: float = 0.0, symbol: str = "BTCUSDT", share: float = 1.0) -> None:
    """What people did of the rollout, one line after the other, `at` seconds after `T0`."""
    plan = RolloutPlan(stages=(StagePlan(name="one", symbols=(symbol,), notional_share=share, min_hours=0.0),))
    for event in events:
        rollout, found = read_rollout_now(home.settings), evidence(epoch=EPOCH)
        if event is RolloutEvent.APPROVE:
            record = approve(rollout, plan, person(T0 + at), found)
        else:
            record = make_record(rollout, event, person(T0 + at), found)
        open_rollout_log(home.settings).append([encode_record(record)])


def place(home: Home, at: float = ORDER_AT, name: str = "1", **changes: Any) -> None:
    """An order of v6, acked one second after its attempt."""
    home.attempts(attempt_row(at, name, **changes))
    home.orders(ack_row(at + 1, name, int(at)) | V6 | changes, fill_row(at + 2, name, int(at)) | V6 | changes)


def reasons(home: Home) -> list[str]:
    """Why the newest lines say that orders of v6 were outside of the rollout; a rebuild must say the same."""
    summary = home.run(COMPARED_AT).summary
    found = outside(home)
    assert home.compare(COMPARED_AT, rebuild=True).summary.epoch == summary.epoch
    assert outside(home) == found
    assert (WITHIN_ROLLOUT in summary.failed_criteria) == bool(found)
    assert not found or not summary.sample_size or summary.verdict is Verdict.FAIL
    return found


def outside(home: Home) -> list[str]:
    rows = map(json.loads, home.settings.compare_diffs.read_bytes().splitlines())
    return [row["outside_rollout"] for row in rows if row.get("outside_rollout")]


APPROVE, HALT, REDUCE = RolloutEvent.APPROVE, RolloutEvent.HALT, RolloutEvent.REDUCE
BEGIN, PAUSE, ROLLBACK, RESUME = RolloutEvent.BEGIN, RolloutEvent.PAUSE, RolloutEvent.ROLLBACK, RolloutEvent.RESUME


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((), "v6 was off"),
        ((BEGIN,), "v6 was shadow"),
        ((APPROVE, PAUSE), "v6 was paused"),
        ((APPROVE, ROLLBACK), "v6 was rolled_back"),
        ((APPROVE, HALT), "trading was halted"),
        ((APPROVE, REDUCE), "trading was reducing, and the order opens"),
        ((APPROVE, HALT, PAUSE, RESUME), "v6 was paused"),
    ],
)
def test_an_order_of_v6_that_the_rollout_did_not_allow_breaks_within_rollout(
    tmp_path: Path, events: tuple[RolloutEvent, ...], reason: str
) -> None:
    home = Home(tmp_path)
    move(home, *events)
    place(home)
    assert reasons(home) == [reason]


def test_an_order_of_v6_in_its_stage_is_within_the_rollout(tmp_path: Path) -> None:
    home = Home(tmp_path)
    move(home, APPROVE)
    place(home)
    assert reasons(home) == []


def test_a_symbol_that_is_not_in_the_stage_is_outside_of_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    move(home, APPROVE, symbol="ETHUSDT")
    place(home)
    assert reasons(home) == ["BTCUSDT is not in stage one"]


def test_the_share_is_drawn_as_the_executor_draws_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    names = [str(number) for number in range(40)]
    # Between the draws of two of the intents.
    share = sorted(draw(f"ord_{name}") for name in names)[20] - 1e-9
    move(home, APPROVE, share=share)
    content = {"sequence": 1, "valid_until": 9, "symbols": ["BTCUSDT"], "notional_share": share, "state": "live"}
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content | {"trading_state": "active"}))
    reader = RolloutReader(path, lambda: 8.0)
    drawn = [name for name in names if reader.is_v6(f"ord_{name}", "BTCUSDT")]
    assert len(drawn) == 20
    for at, name in enumerate(drawn):
        place(home, ORDER_AT + 10 * at, name)
    assert reasons(home) == []
    place(home, ORDER_AT + 500, next(name for name in names if name not in drawn))
    (reason,) = reasons(home)
    assert reason.startswith("its intent is not among the")


def test_while_trading_reduces_v6_may_reduce(tmp_path: Path) -> None:
    home = Home(tmp_path)
    move(home, APPROVE, REDUCE)
    nav = {"nav_usd": 10_000.0, "gross_usd": 500.0, "symbol_gross_usd": {"BTCUSDT": 500.0}}
    home.attempts(attempt_row(ORDER_AT, side="SELL", reduce_only=True, nav_snapshot=nav))
    closing = V6 | {"side": "SELL", "reduceOnly": True}
    home.orders(ack_row(ORDER_AT + 1) | closing, fill_row(ORDER_AT + 2) | closing)
    assert reasons(home) == []


@pytest.mark.parametrize(("after_s", "is_outside"), [(50.0, False), (70.0, True)])
def test_what_was_under_way_when_v6_was_rolled_back_is_no_breach(
    tmp_path: Path, after_s: float, is_outside: bool
) -> None:
    home = Home(tmp_path)
    move(home, APPROVE)
    move(home, ROLLBACK, at=ORDER_AT + 1 - after_s)
    place(home)
    assert bool(reasons(home)) is is_outside


def test_an_approval_after_the_order_does_not_make_it_good(tmp_path: Path) -> None:
    home = Home(tmp_path)
    place(home)
    move(home, APPROVE, at=ORDER_AT + 10)
    assert reasons(home) == ["v6 was off"]


def test_neither_a_scope_nor_an_ignore_rule_hides_it(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_VERDICT_SYMBOLS="ETHUSDT")
    rule = {"name": "all", "owner": "me", "reason": "no", "expires": "2025-12-01", "symbol": "BTCUSDT"}
    home.settings.ignore_rules.write_text(json.dumps({"rules": [rule]}))
    place(home)
    assert reasons(home) == ["v6 was off"]


def test_an_order_that_no_decision_explains_is_held_against_it_too(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with_orders(home, None)
    home.orders(ack_row(ORDER_AT, "x", 9) | V6, fill_row(ORDER_AT + 1, "x", 9) | V6)
    assert reasons(home) == ["v6 was off"]


def failed(summary: Summary) -> bool:
    return WITHIN_ROLLOUT in summary.failed_criteria


def test_a_late_row_that_says_who_placed_an_order_is_judged_and_a_judged_one_keeps_its_judgement(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(ORDER_AT))
    home.orders(ack_row(ORDER_AT + 1), fill_row(ORDER_AT + 2))
    assert not failed(home.run(COMPARED_AT).summary)
    home.orders(fill_row(COMPARED_AT) | V6)
    assert failed(home.run(2 * COMPARED_AT).summary)
    # The history of another day is not the one by which it was placed.
    move(home, APPROVE, at=-100)
    home.orders(fill_row(2 * COMPARED_AT, qty=4.9) | V6)
    assert failed(home.run(3 * COMPARED_AT).summary)


def test_a_history_that_is_none_allowed_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    move(home, APPROVE)
    place(home)
    home.shadow(COMPARED_AT)
    with home.settings.rollout_log.open("ab") as log:
        log.write(b"{}\n")
    assert failed(home.compare(COMPARED_AT).summary)
    assert outside(home) == ["v6 was off"]
