"""Two executors on one order log are found; restarts, polls and repeated lines are not taken for them."""

from dataclasses import replace

import pytest

from pipeline_v6_dagster.compare.processes import ProcessState, watch_processes
from pipeline_v6_dagster.domain.attempt import Side
from pipeline_v6_dagster.domain.live import EventKind, OrderEvent

T0 = 1_762_000_000.0


def ack(process: str | None, ts: float, order_id: str = "1", intent_id: str | None = "ord_1") -> OrderEvent:
    return OrderEvent(
        kind=EventKind.ACK,
        ts=T0 + ts,
        symbol="BTCUSDT",
        side=Side.BUY,
        intent_id=intent_id,
        attempt_id=None,
        order_id=order_id,
        is_reduce_only=False,
        requested_qty=1.0,
        executed_qty=None,
        avg_price=None,
        fees_usd=None,
        gross_usd=None,
        status=None,
        reason=None,
        lot_step=None,
        process=process,
    )


def watched(*events: OrderEvent) -> ProcessState:
    state = ProcessState()
    for event in events:
        watch_processes(state, event)
    return state


def test_one_process_that_repeats_its_lines_is_one_executor() -> None:
    state = watched(*[ack("host/1", ts, str(ts // 2)) for ts in range(60)])
    assert (state.conflict_count, state.most_returns) == (0, 0)


def test_restarts_are_no_returns() -> None:
    state = watched(*[ack(f"host/{pid}", pid * 10.0, str(pid), f"ord_{pid}") for pid in range(40)])
    assert state.most_returns == 0


def test_two_processes_that_ack_one_order_conflict() -> None:
    state = watched(ack("host/1", 0), ack("other/7", 1))
    assert state.conflict_count == 1
    assert state.conflicts == ["ord_1/1"]


def test_ids_that_a_later_run_uses_again_for_another_intent_are_no_conflict() -> None:
    assert watched(ack("host/1", 0), ack("host/2", 500, intent_id="ord_2")).conflict_count == 0


@pytest.mark.parametrize(("gap_s", "most"), [(10.0, 40), (600.0, 7)])
def test_taking_turns_counts_the_returns_of_an_hour(gap_s: float, most: int) -> None:
    turns = [ack(f"host/{n % 2}", n * gap_s, str(n), f"ord_{n}") for n in range(42)]
    assert watched(*turns).most_returns == most


def test_an_epoch_starts_without_the_findings_of_the_one_before() -> None:
    state = watched(ack("host/1", 0), ack("other/7", 1), ack("host/1", 2))
    state.start_epoch()
    assert (state.conflict_count, state.most_returns, state.conflicts) == (0, 0, [])
    watch_processes(state, replace(ack("other/7", 3), order_id="2"))
    assert state.most_returns == 1


def test_rows_without_a_process_say_nothing() -> None:
    assert watched(ack(None, 0), ack("host/1", 1), ack(None, 2), ack("host/1", 3)) == watched(
        ack("host/1", 1), ack("host/1", 3)
    )


def test_what_is_remembered_is_bounded() -> None:
    state = watched(*[ack(f"host/{n % 999}", n * 1.0, str(n), f"ord_{n}") for n in range(5000)])
    assert len(state.acked_by) <= 200
    assert len(state.processes) <= 50
