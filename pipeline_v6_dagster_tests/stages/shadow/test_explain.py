import json
from pathlib import Path

import pytest

from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.risk import DenyReason
from pipeline_v6_dagster.shadow.risk import Outcome
from pipeline_v6_dagster.shadow.rules import RULES
from pipeline_v6_dagster.stages.shadow import account_state as account_history
from pipeline_v6_dagster.stages.shadow.explain import explain
from pipeline_v6_dagster.stages.shadow.run import run_shadow
from pipeline_v6_dagster_tests.homes import START_TS, fixed, simulated_home
from pipeline_v6_dagster_tests.live_builders import Home, attempt_row


def test_every_decision_is_explained_from_the_log_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_history, "CHECKPOINT_DECISIONS", 20)
    settings, _ = simulated_home(tmp_path, seconds=900)
    content = json.loads(settings.risk_limits.read_text())
    content["global"] |= {"allow_pyramiding": False, "cooldown_sec": 30}
    settings.risk_limits.write_text(json.dumps(content))
    run = run_shadow(
        settings, load_configuration(settings.risk_limits, settings.pairs_universe).limits, fixed(START_TS + 900)
    )
    assert run.allowed
    assert run.denied
    settings.risk_limits.unlink()  # what is configured now does not matter
    for line in settings.shadow_log.read_bytes().splitlines():
        row = json.loads(line)
        found = explain(settings, row["decision_id"])
        assert found.note is None
        assert len(found.rules) == len(RULES)
        denied = [rule.reason for rule in found.rules if rule.outcome is Outcome.DENIES]
        assert list(dict.fromkeys(denied)) == row["risk_decision"]["reasons"]
        for rule in found.rules:
            if rule.outcome is Outcome.DENIES:
                said = row["risk_decision"]["diagnostics"][rule.reason]
                assert said == {"threshold": rule.threshold, "observed": rule.observed, "unit": rule.unit}


def test_a_reduce_only_order_is_told_what_it_is_exempt_from(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1", reduce_only=True))
    home.shadow(1)
    (row,) = map(json.loads, home.settings.shadow_log.read_bytes().splitlines())
    outcomes = {rule.reason: rule.outcome for rule in explain(home.settings, row["decision_id"]).rules}
    assert outcomes[DenyReason.PORTFOLIO_CAP] is Outcome.EXEMPT
    assert outcomes[DenyReason.KILL_SWITCH] is Outcome.PASSES
    assert outcomes[DenyReason.NOT_WHITELISTED] is Outcome.NOT_CONFIGURED


def test_a_row_that_was_changed_is_said_to_be(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1", qty=50.0))
    home.shadow(1)
    (line,) = home.settings.shadow_log.read_bytes().splitlines()
    row = json.loads(line)
    row["risk_decision"] |= {"allowed": True, "reasons": []}
    home.settings.shadow_log.write_text(json.dumps(row, separators=(",", ":")) + "\n")
    note = explain(home.settings, row["decision_id"]).note
    assert note is not None
    assert "not what was written" in note


def test_an_id_that_the_log_does_not_hold_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(DataError, match="no decision nothing"):
        explain(home.settings, "nothing")
    home.attempts(attempt_row(0, "1"))
    home.shadow(1)
    with pytest.raises(DataError, match=r"no decision \.\*"):
        explain(home.settings, ".*")


def test_caps_that_want_a_nav_are_not_measured_where_it_is_missing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.attempts(attempt_row(0, "1", nav_snapshot=None))
    home.shadow(1)
    (row,) = map(json.loads, home.settings.shadow_log.read_bytes().splitlines())
    found = explain(home.settings, row["decision_id"])
    outcomes = {rule.reason: rule.outcome for rule in found.rules}
    assert found.note is None
    assert outcomes[DenyReason.NAV_STALE] is Outcome.DENIES
    assert outcomes[DenyReason.TRADE_GT_EQUITY_CAP] is Outcome.NOT_MEASURED
