"""Numbers in the configuration files that one person reads as a fraction and another as a percent.

The rule itself is `config.units.to_ratio`: up to 1 a fraction, above 1 a percent. What stands near 1 is read by that
rule as well, and may have been meant otherwise; here it is named. Nothing is changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.config.files import read_object
from pipeline_v6_dagster.config.units import to_ratio
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError
from pipeline_v6_dagster.domain.formatting import format_number

# Between half a percent and 2 as a factor either reading is a limit that somebody might want.
LEAST, MOST = 0.5, 2.0
_SUFFIX = "_pct"


def ambiguous_ratios(path: Path) -> tuple[str, ...]:
    """One line for every `*_pct` number near 1: what was understood, and how to write the other.

    A file that cannot be read has no such number; that it cannot is said where it is loaded.
    """
    try:
        content = read_object(path)
    except (ConfigError, StorageError):
        return ()
    return tuple(_lines(path.name, content, ""))


def _lines(file: str, content: Any, prefix: str) -> Iterator[str]:
    if isinstance(content, list):
        for item in content:
            name = item.get("symbol") if isinstance(item, dict) else None
            yield from _lines(file, item, f"{prefix}{name}." if isinstance(name, str) else prefix)
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if isinstance(value, dict | list):
            yield from _lines(file, value, f"{prefix}{key}.")
        elif key.endswith(_SUFFIX) and isinstance(value, int | float) and LEAST <= value <= MOST:
            ratio = to_ratio(value)
            if value <= 1:
                other = f"{format_number(value)} %, write {format_number(value / 100)}"
            else:
                other = f"{format_number(value * 100)} %, write {format_number(value * 100)}"
            read = f"{format_number(ratio)} of NAV ({format_number(ratio * 100)} %)"
            yield f"{file}: {prefix}{key} = {format_number(value)} is read as {read}; if you mean {other}"
