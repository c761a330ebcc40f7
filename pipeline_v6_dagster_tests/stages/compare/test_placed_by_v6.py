"""Orders that v6 placed are judged by the same criteria, and the epoch says which part of its evidence they are."""

from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.summary import EvidencePart, Verdict
from pipeline_v6_dagster_tests.live_builders import Home, ack_row, attempt_row, fill_row


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
