"""Epochs: what begins one, which count for k, and that wild times neither freeze nor stretch one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.verdict.epochs import (
    Boundary,
    EpochState,
    EpochTracker,
    begin_evidence,
    epoch_facts,
    epoch_identity,
    error_level,
)
from pipeline_v6_dagster.verdict.policy import DAY_S
from pipeline_v6_dagster_tests.builders import unhurried

T0 = 1_762_000_000.0
MIN_DAYS = 14.0


def tracker(*boundaries: Boundary) -> EpochTracker:
    return EpochTracker(EpochState(), MIN_DAYS, boundaries)


def days(one: EpochTracker, identity: str, first: int, number: int) -> None:
    """`number` days with ten decisions each under one identity, from day `first` on."""
    start = one.state.next_number
    for place in range(number * 10):
        one.observe(start + place, T0 + (first + place / 10) * DAY_S, identity)


def count_epochs(one: EpochTracker) -> tuple[int, int]:
    facts = epoch_facts(one.state, 0.05)
    return facts.k, facts.uncounted_restarts


class TestIdentity:
    def test_each_part_counts_and_a_missing_one_is_not_an_empty_one(self) -> None:
        found = {
            epoch_identity(*parts)
            for parts in [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"), (None, "b", "c")]
        } | {epoch_identity("", "b", "c")}
        assert len(found) == 6
        assert epoch_identity("a", "b", "c") == epoch_identity("a", "b", "c")


class TestRestarts:
    def test_a_b_a_gives_three_epochs(self) -> None:
        one = tracker()
        began = [one.observe(number, T0 + number, name) for number, name in enumerate("AABBAA")]
        assert began == [True, False, True, False, True, False]
        assert (one.state.first_number, one.state.since_ts, one.state.seen) == (4, T0 + 4, 2)
        assert count_epochs(one) == (1, 2)

    def test_an_epoch_of_half_the_minimum_counts_a_shorter_one_does_not(self) -> None:
        one = tracker()
        days(one, "A", 0, 8)
        days(one, "B", 8, 6)
        days(one, "C", 14, 1)
        assert count_epochs(one) == (2, 1)

    def test_what_ended_more_than_90_days_before_the_epoch_is_forgotten(self) -> None:
        one = tracker()
        days(one, "A", 0, 10)
        days(one, "B", 10, 10)
        days(one, "C", 112, 1)
        assert count_epochs(one) == (1, 0)

    def test_the_levels_add_up_to_the_error_rate(self) -> None:
        assert error_level(0.05, 1) == 0.025
        assert sum(error_level(0.05, k) for k in range(1, 10_000)) == pytest.approx(0.05, rel=1e-3)


class TestAcknowledgements:
    def test_it_begins_an_epoch_and_counts_however_short_the_former_was(self) -> None:
        boundary = Boundary(5, T0 + 100, 8)
        one = tracker(boundary)
        for number in range(8):
            one.observe(number, T0 + number * 30, "A")
        assert one.state.first_number == 0
        assert one.finish()
        assert (one.state.first_number, one.state.since_ts, one.state.seen) == (5, T0 + 100, 3)
        assert count_epochs(one) == (2, 0)

    @given(st.integers(1, 20), st.integers(0, 20), st.lists(st.sampled_from("AB"), min_size=40, max_size=60))
    @unhurried
    def test_recorded_later_or_known_from_the_start_it_is_the_same(
        self, first: int, later: int, identities: list[str]
    ) -> None:
        boundary = Boundary(first, T0 + first * 1e5, first + later)
        incremental, rebuilt = tracker(), tracker(boundary)
        for number, identity in enumerate(identities[: first + later]):
            incremental.observe(number, T0 + number * 1e5, identity)
        incremental = EpochTracker(incremental.state, MIN_DAYS, (boundary,))
        incremental.finish()
        for number, identity in enumerate(identities):
            if number >= first + later:
                incremental.observe(number, T0 + number * 1e5, identity)
            rebuilt.observe(number, T0 + number * 1e5, identity)
        rebuilt.finish()
        assert epoch_facts(incremental.state, 0.05) == epoch_facts(rebuilt.state, 0.05)
        assert incremental.state == rebuilt.state

    def test_of_an_epoch_that_is_over_it_begins_none(self) -> None:
        one = tracker()
        days(one, "A", 0, 2)
        days(one, "B", 2, 2)
        assert not one.can_begin_at(10)
        assert one.can_begin_at(25)


class TestWildTimes:
    @pytest.mark.parametrize("wild", [T0 + 1e9, 0.0, 1e300, -1e300])
    @pytest.mark.parametrize("place", [0, 3, 200])
    def test_one_attempt_from_another_time_moves_nothing(self, wild: float, place: int) -> None:
        one = tracker()
        for number in range(300):
            one.observe(number, wild if number == place else T0 + number * 3600, "A")
        facts = epoch_facts(one.state, 0.05)
        assert facts.since_ts == pytest.approx(T0, abs=12 * 3600)
        assert facts.newest_ts == T0 + 299 * 3600
        one.observe(300, T0 + 300 * 3600, "B")
        assert (one.state.identity, one.state.first_number) == ("B", 300)

    def test_four_in_a_row_at_the_beginning_of_an_epoch_do_no_harm_either(self) -> None:
        one = tracker()
        days(one, "A", 0, 10)
        for number in range(100, 104):
            one.observe(number, T0 + 1e9, "B")
        days(one, "B", 10, 2)
        assert one.state.since_ts == pytest.approx(T0 + 10 * DAY_S, abs=DAY_S)


def test_the_state_survives_storage_and_stays_small() -> None:
    one = tracker()
    for number in range(5000):
        one.observe(number, T0 + number * 3600, "AB"[number % 2])
    stored = msgspec.json.encode(one.state)
    assert len(stored) < 2500
    assert msgspec.json.decode(stored, type=EpochState) == one.state


def test_evidence_begins_where_the_epoch_does() -> None:
    one = tracker()
    days(one, "A", 0, 1)
    days(one, "B", 1, 1)
    evidence = begin_evidence(one.state, ("BTCUSDT",))
    assert (evidence.first_number, evidence.since_ts, evidence.scope) == (10, T0 + DAY_S, ("BTCUSDT",))
