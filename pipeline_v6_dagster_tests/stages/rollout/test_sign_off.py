"""The page that is signed: what it shows is what the logs say, and its links are in them."""

import re
from pathlib import Path

import pytest

from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.rollout import RolloutEvent
from pipeline_v6_dagster.stages.rollout.act import act
from pipeline_v6_dagster.stages.rollout.sign_off import sign_off_path, write_sign_off
from pipeline_v6_dagster.verdict.criteria import CRITERIA
from pipeline_v6_dagster_tests.homes import fixed, make_settings
from pipeline_v6_dagster_tests.rollout.desk import Desk


def test_it_shows_the_verdict_the_criteria_the_approvals_and_links_that_are_in_the_logs(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.begin_canary()
    act(desk.settings, RolloutEvent.PAUSE, "<b>bob</b>", "holiday & rest", fixed(desk.now))
    assert write_sign_off(desk.settings, desk.now).verdict == "PASS"
    page = sign_off_path(desk.settings).read_text(encoding="utf-8")
    assert "<strong>PASS</strong>" in page
    assert all(f"<td>{each.name}</td>" in page for each in CRITERIA)
    assert all(f"<td>{name}</td><td>passed</td>" in page for name in ("BTCUSDT", "ETHUSDT", "SOLUSDT"))
    assert "<td>alice</td><td>as planned</td><td>one</td><td>canary</td>" in page
    assert "&lt;b&gt;bob&lt;/b&gt;</td><td>holiday &amp; rest" in page
    links = dict(re.findall(r"<li>(pipeline_v6_\w+\.jsonl): <code>([^<]+)</code>", page))
    assert set(links) == {"pipeline_v6_compare.jsonl", "pipeline_v6_rollout.jsonl"}
    for name, link in links.items():
        assert f'"chain":"{link}"' in (desk.settings.logs_dir / name).read_text(encoding="utf-8")


def test_without_a_comparison_there_is_nothing_to_sign(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to sign off yet"):
        write_sign_off(make_settings(tmp_path), 1.0)
