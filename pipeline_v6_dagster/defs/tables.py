"""Rows as a table of the UI."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """The named columns of each row; what a row does not have is null."""
    return dg.MetadataValue.table(
        [dg.TableRecord({name: row.get(name) for name in columns}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]),
    )
