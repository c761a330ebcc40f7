"""The head of the shadow log."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.stages.shadow.head import refresh_head
from pipeline_v6_dagster_tests.live_builders import T0, Home, attempt_row, shadow_row


def head_file(home: Home) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(home.settings.shadow_head.read_bytes())
    return head


def test_it_counts_the_newest_decisions(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"), attempt_row(1, "2", qty=50.0), attempt_row(2, "3"))
    home.shadow(10)
    refresh_head(home.settings, T0 + 20)
    head = head_file(home)
    assert (head["generated_ts"], head["total"], head["allowed"], head["vetoed"]) == (T0 + 20, 3, 2, 1)
    assert head["last_decision"]["intent_id"] == "ord_3"
    assert head["veto_reasons"]["symbol_cap"] == 1
    assert head["window"] == {"limit": 100, "first_ts": T0, "last_ts": T0 + 2}
    assert head["log"]["decision_id"] == head["last_decision"]["decision_id"]
    assert head["log"]["source"] == head["last_decision"]["source"]


def test_it_covers_as_many_as_the_limit_says(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_SHADOW_HEAD_LIMIT="2")
    home.attempts(attempt_row(0, "1", qty=50.0), attempt_row(1, "2"), attempt_row(2, "3"))
    home.shadow(10)
    head = refresh_head(home.settings, T0)
    assert (head.total, head.allowed, head.vetoed, head.veto_reasons) == (2, 2, 0, {})


def test_without_a_decision_there_is_no_last_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    refresh_head(home.settings, T0)
    head = head_file(home)
    assert (head["total"], head["last_decision"], head["window"]["first_ts"]) == (0, None, None)


def test_it_is_refreshed_while_the_executor_is_silent(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1"))
    home.shadow(10)
    refresh_head(home.settings, T0 + 20)
    before = head_file(home)
    refresh_head(home.settings, T0 + 620)
    assert head_file(home) == before | {"generated_ts": T0 + 620}


def test_heartbeat_rows_and_garbage_of_another_producer_are_no_decisions(tmp_path: Path) -> None:
    home = Home(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    home.append(home.settings.shadow_log, shadow_row(0), shadow_row(1, heartbeat=True), b"garbage\n", b'{"torn": ')
    head = refresh_head(home.settings, T0)
    assert (head.total, head.allowed) == (1, 1)
    assert head.log == {"decision_id": None, "source": None, "chain": None}


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.append(home.settings.shadow_head.parent, b"a file in the place of the folder")
    with pytest.raises(StorageError, match="state"):
        refresh_head(home.settings, T0)
