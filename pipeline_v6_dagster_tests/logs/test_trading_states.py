"""Which trading state the shadow takes from the rollout, and from when on."""

from pathlib import Path

import msgspec
import pytest

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.domain.limits import TradingState
from pipeline_v6_dagster.domain.rollout import RolloutEvent
from pipeline_v6_dagster.logs.rollout_log import encode_record, open_rollout_log
from pipeline_v6_dagster.logs.trading_states import read_trading_states
from pipeline_v6_dagster.rollout.machine import Rollout
from pipeline_v6_dagster.rollout.moves import make_record
from pipeline_v6_dagster.storage.files import replace_file
from pipeline_v6_dagster_tests.homes import make_settings
from pipeline_v6_dagster_tests.rollout.evidence import T0, evidence, person

HALT = make_record(Rollout(), RolloutEvent.HALT, person(T0), evidence())
ACTIVE, REDUCING, HALTED = TradingState


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


def write_file(settings: Settings, **content: object) -> None:
    replace_file(settings.rollout_state, msgspec.json.encode(content))


def test_without_a_rollout_trading_is_active_and_the_history_says_what_held_when(settings: Settings) -> None:
    assert read_trading_states(settings).at(T0) is ACTIVE
    open_rollout_log(settings).append([encode_record(HALT)])
    assert [read_trading_states(settings).at(T0 + after) for after in (-1, 0, 1)] == [ACTIVE, HALTED, HALTED]


def test_a_state_file_alone_holds_since_the_time_in_it_and_always_without_one(settings: Settings) -> None:
    write_file(settings, state="canary", trading_state="reducing", since_ts=T0)
    assert [read_trading_states(settings).at(T0 + after) for after in (-1, 0)] == [ACTIVE, REDUCING]
    write_file(settings, trading_state="halted")
    assert read_trading_states(settings).at(0.0) is HALTED


@pytest.mark.parametrize(
    ("state", "sequence", "expected"),
    [
        ("active", HALT.sequence + 1, HALTED),
        ("active", HALT.sequence, HALTED),
        ("reducing", HALT.sequence + 1, HALTED),
    ],
)
def test_a_state_file_never_makes_the_history_more_lenient(
    settings: Settings, state: str, sequence: int, expected: TradingState
) -> None:
    open_rollout_log(settings).append([encode_record(HALT)])
    write_file(settings, trading_state=state, sequence=sequence, since_ts=T0 + 5)
    assert read_trading_states(settings).at(T0 + 9) is expected


def test_a_state_file_that_the_history_has_passed_says_nothing(settings: Settings) -> None:
    record = make_record(Rollout(), RolloutEvent.BEGIN, person(T0), evidence())
    open_rollout_log(settings).append([encode_record(record)])
    write_file(settings, trading_state="halted", sequence=record.sequence)
    assert read_trading_states(settings).at(T0 + 9) is ACTIVE
    write_file(settings, trading_state="halted", sequence=record.sequence + 1)
    assert read_trading_states(settings).at(T0 + 9) is HALTED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"trading_state":"HALTED"}', b"[" * 100_000])
def test_a_state_file_that_is_none_is_refused_where_it_is_alone(settings: Settings, content: bytes) -> None:
    replace_file(settings.rollout_state, content)
    with pytest.raises(DataError) as caught:
        read_trading_states(settings)
    assert str(caught.value).startswith(f"{settings.rollout_state}: is no rollout state")
    assert "\n" not in str(caught.value)
    open_rollout_log(settings).append([encode_record(HALT)])
    assert read_trading_states(settings).at(T0) is HALTED


def test_a_state_file_that_does_not_open_is_a_fault_of_the_path(settings: Settings) -> None:
    settings.rollout_state.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be read"):
        read_trading_states(settings)
