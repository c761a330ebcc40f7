"""Clocks that disagree: the executor's with ours, and the two that one row carries with each other."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline_v6_dagster.config.regular_file import open_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.formatting import format_duration
from pipeline_v6_dagster.sources.decoding import epoch_s

# Far more than clocks kept by NTP are apart, far less than the tolerance of a match.
MOST_APART_S = 5.0
# So much of the end of a log is looked at: thousands of rows.
_TAIL_BYTES = 4_000_000


class _Times(msgspec.Struct):
    ts: float | str | None = None
    local_ts: float | str | None = None


_decoder = msgspec.json.Decoder(_Times)


def clock_warnings(settings: Settings, now: float) -> tuple[str, ...]:
    """One line for every log whose newest rows do not fit the clock of this machine, or each other."""
    paths = (settings.order_attempts, settings.orders_executed, settings.risk_vetoes, settings.shadow_log)
    return tuple(warning for path in paths for warning in _warnings(path, now))


def _warnings(path: Path, now: float) -> Iterator[str]:
    rows = apart = 0
    newest = worst_s = 0.0
    for row in _tail(path):
        logged, local = epoch_s(row.ts), epoch_s(row.local_ts)
        rows += 1
        newest = max(newest, logged or local or 0.0)
        if logged is not None and local is not None and abs(local - logged) > MOST_APART_S:
            apart += 1
            worst_s = max(worst_s, local - logged, key=abs)
    if newest > now + MOST_APART_S:
        yield (
            f"{path}: its newest row is {format_duration(newest - now)} ahead of this machine's clock;"
            " set both by NTP, or decisions wait for a time that has not come"
        )
    if apart:
        direction = "ahead of" if worst_s > 0 else "behind"
        yield (
            f"{path}: {apart:,} of the newest {rows:,} rows have a local_ts more than {format_duration(MOST_APART_S)}"
            f" away from their ts, at most {format_duration(abs(worst_s))} {direction} it; their writer's clock jumps"
        )


def _tail(path: Path) -> Iterator[_Times]:
    """The times of the rows at the end of a log; lines that are no rows are counted elsewhere."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    for line in lines[1 if size > _TAIL_BYTES else 0 :]:
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
