"""The exchange's own filters beside what the desk's files say of the same limits."""

from collections.abc import Iterator

from pipeline_v6_dagster.config.exchange_info import FILE_NAME, FilterDifference
from pipeline_v6_dagster.config.limits import Configuration
from pipeline_v6_dagster.domain.formatting import format_number


def exchange_warnings(configuration: Configuration) -> Iterator[str]:
    """Limits that admit what the exchange refuses, and symbols that the exchange does not list."""
    for difference in configuration.filter_differences:
        if difference.is_exchange_stricter:
            yield _line(difference, f"the exchange's holds; correct the desk's {difference.name}")
    if configuration.missing_on_exchange:
        names = ", ".join(configuration.missing_on_exchange)
        yield f"{FILE_NAME}: does not list {names}, which the universe does: no filter of the exchange holds there"


def exchange_notes(configuration: Configuration) -> Iterator[str]:
    """Limits of the desk that are stricter than the exchange's."""
    for difference in configuration.filter_differences:
        if not difference.is_exchange_stricter:
            yield _line(difference, "the desk's is the stricter and holds")


def _line(difference: FilterDifference, outcome: str) -> str:
    desk, exchange = format_number(difference.desk), format_number(difference.exchange)
    return f"{FILE_NAME}: {difference.symbol}: {difference.name} is {exchange}, the desk's files say {desk}: {outcome}"
