"""The history and the state file of the rollout on a real disk."""

from pathlib import Path

import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutEvent, RolloutFile, RolloutState
from pipeline_v6_dagster.logs.rollout_file import encode_rollout_file, read_rollout_file
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log, read_rollout
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import make_record
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster_tests.homes import make_settings
from pipeline_v6_dagster_tests.rollout.evidence import T0, evidence, person

HALT = make_record(Rollout(), RolloutEvent.HALT, person(T0), evidence())
FILE = RolloutFile(
    state=RolloutState.CANARY,
    stage="one",
    symbols=("BTCUSDT",),
    notional_share=0.1,
    trading_state=TradingState.ACTIVE,
    valid_until=T0 + 1260,
    sequence=2,
    reason="as planned",
    since_ts=T0,
    by="alice",
    generated_ts=T0,
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


def test_a_record_comes_back_as_it_was_written(settings: Settings) -> None:
    open_rollout_log(settings).append([encode_record(HALT)])
    records, offset = read_rollout(settings)
    assert records == [HALT]
    assert read_rollout(settings, offset) == ([], offset)


def test_a_line_of_another_kind_is_an_error(settings: Settings) -> None:
    replace_file(settings.rollout_log, b'{"sequence": 1}\n')
    with pytest.raises(DataError, match="a line is not understood"):
        read_rollout(settings)


def test_the_state_file_comes_back_as_it_was_written(settings: Settings) -> None:
    assert read_rollout_file(settings) is None
    replace_file(settings.rollout_state, encode_rollout_file(FILE))
    assert read_rollout_file(settings) == FILE


@pytest.mark.parametrize("change", [lambda content: content[:-9], lambda content: content.replace(b"0.1", b"1.0  ")])
def test_a_state_file_that_was_not_written_so_is_no_state(settings: Settings, change: object) -> None:
    assert callable(change)
    changed = change(encode_rollout_file(FILE))
    replace_file(settings.rollout_state, changed)
    assert read_rollout_file(settings) == changed
