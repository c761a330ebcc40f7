"""The story of `demo --rollout`, on a clock of its own: it comes to its end, and the files say what it says."""

import json
from pathlib import Path

from pipeline_v6_dagster.cli.demo_rollout import Chapter, RolloutStory
from pipeline_v6_dagster.logs.rollout_log import read_rollout
from pipeline_v6_dagster_tests.rollout.desk import Desk


def test_from_a_pass_to_a_canary_and_back_within_two_minutes(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said: list[str] = []
    story = RolloutStory(desk.settings, desk.executor, said.append, runs_stages=True)
    desk.executor.trade_faster(0.5)
    for second in range(240):
        story.step(desk.now + second)
        if story.chapter is Chapter.OVER:
            break
    assert story.chapter is Chapter.OVER, said
    records, _ = read_rollout(desk.settings)
    assert [record.event for record in records] == ["begin", "approve", "rollback"]
    assert (records[-1].by, records[-1].broken[0]) == ("compare", "same_side")
    assert desk.file.state == "rolled_back"
    rows = [json.loads(line) for line in desk.settings.orders_executed.read_bytes().splitlines()]
    placed = {row["symbol"] for row in rows if row.get("placed_by") == "v6"}
    assert placed == {records[1].stage.symbols[0]} if records[1].stage is not None else False
    assert any(text.startswith("injected: ") for text in said)
    assert any(text.startswith("alert: ERROR rollback by compare: critical: same_side") for text in said)
