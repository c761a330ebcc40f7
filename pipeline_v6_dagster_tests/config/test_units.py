from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pipeline_v6_dagster.config.units import Count, Finite, NotNegative, Positive, Ratio, Switch, to_ratio
from pipeline_v6_dagster_tests.builders import unhurried


@pytest.mark.parametrize(
    ("written", "ratio"),
    [(0.0001, 0.0001), (0.25, 0.25), (1, 1), (1.5, 0.015), (25, 0.25), (30.0, 0.3), (100, 1), (200, 2)],
)
def test_a_pct_up_to_one_is_a_fraction_and_above_one_a_percent(written: float, ratio: float) -> None:
    assert to_ratio(written) == ratio
    assert TypeAdapter(Ratio).validate_python(written) == ratio


@unhurried
@given(st.integers(min_value=2, max_value=100))
def test_a_percent_and_its_fraction_are_the_same_number(percent: int) -> None:
    fraction = float(f"0.{percent:02}") if percent < 100 else 1.0
    assert to_ratio(percent) == to_ratio(fraction) == fraction


@pytest.mark.parametrize(
    ("unit", "fine", "refused"),
    [
        (
            Positive,
            [1, 0.5, 1e9, "1", "0.00100000"],
            [0, -1, nan, inf, -inf, "0", "1e3", "1,0", " 1", "", True, None, [1], 10**400],
        ),
        (NotNegative, [0, 0.0, 5, "0"], [-0.01, nan, inf, "-1", "nan", "Infinity", False, None, 10**400]),
        (Finite, [0, -2.5, 3, "-2.5"], [nan, inf, -inf, "none", True, None, 10**400]),
        (Ratio, [0.1, 1, 99, "0.25"], [0, -0.1, nan, inf, "25%", True, None, 10**400]),
        (Count, [0, 4, "4"], [-1, 1.5, 4.0, nan, "4.0", "1" * 400, True, None]),
        (Switch, [True, False], [0, 1, "true", "on", None]),
    ],
)
def test_a_unit_takes_its_numbers_and_guesses_at_nothing(
    unit: object, fine: list[object], refused: list[object]
) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(unit)
    for value in fine:
        adapter.validate_python(value)
    for value in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_a_decimal_number_as_text_is_that_number() -> None:
    assert TypeAdapter(Positive).validate_python("0.00100000") == 0.001
    assert TypeAdapter(Ratio).validate_python("25") == 0.25
    assert TypeAdapter(Count).validate_python("4") == 4
