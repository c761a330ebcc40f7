"""A Delta table: rows appended together with the transaction versions that name them, queried with SQL, maintained.

A commit holds its rows and its transaction versions, and is there whole or not at all. Whoever reads the version of a
transaction, appends what comes after it, and is overtaken in between by another writer of the same transaction gets
`StaleSnapshotError`, and the table gets nothing. So each row is there exactly once, whoever is killed when.

The package `deltalake` is optional, so it is imported where a table is used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_v6_dagster.domain.errors import DataError, StorageError
from pipeline_v6_dagster.storage.files import make_folder

if TYPE_CHECKING:
    import deltalake

# Readers may still hold files that a compaction replaced: longer than any query or report takes.
KEPT_FILES_HOURS = 7 * 24
_PACKAGE = "deltalake"


class ColumnType(StrEnum):
    """What a column holds; any value may be null. A DAY is given as days since 1970-01-01."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    FLAG = "flag"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class TableShape:
    """The columns of a table by name, those that divide it into folders, and those whose range each file states."""

    columns: Mapping[str, ColumnType]
    partition_by: tuple[str, ...]
    indexed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query: names of columns, and rows of plain values in their order."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What maintenance did to the files of a table."""

    files_compacted: int
    files_written: int
    files_deleted: int


class StaleSnapshotError(StorageError):
    """Another writer of the same transaction was first; nothing was written."""


class Snapshot:
    """A table as it was at one moment; what is written to it conflicts with what others have written since."""

    def __init__(self, location: str, shape: TableShape, table: "deltalake.DeltaTable") -> None:
        self._location = location
        self._shape = shape
        self.table = table

    def transaction_version(self, name: str) -> int | None:
        """The newest version of a transaction; None where there is none."""
        version: int | None = self.table.transaction_version(name)
        return version

    def append(self, rows: Mapping[str, Sequence[Any]], transactions: Mapping[str, int]) -> None:
        """Append rows (the values of each column), and the versions of the transactions that they end, in one commit.

        Raises:
            StaleSnapshotError: another writer committed one of the transactions since the snapshot.
            StorageError: the table cannot be written.
        """
        import deltalake

        with _explained(self._location):
            deltalake.write_deltalake(
                self.table,
                _arrow_table(self._shape, rows),
                mode="append",
                writer_properties=deltalake.WriterProperties(compression="ZSTD"),
                commit_properties=_commit_properties(transactions),
            )

    def delete(self, predicate: str, transactions: Mapping[str, int]) -> None:
        """Delete the rows for which a SQL condition holds; otherwise as `append`."""
        with _explained(self._location):
            self.table.delete(predicate, commit_properties=_commit_properties(transactions))


def is_delta_installed() -> bool:
    """Whether the optional package is there. Does not import it."""
    return find_spec(_PACKAGE) is not None


def has_table(location: str) -> bool:
    """Whether there is a table at a folder or a URL.

    Raises:
        DataError: the package is not installed.
        StorageError: the place cannot be read.
    """
    with _explained(location):
        import deltalake

        return deltalake.DeltaTable.is_deltatable(location)


def open_table(location: str, shape: TableShape) -> Snapshot:
    """The table at a folder or a URL as it is now; it is made if there is none.

    Raises:
        DataError: the package is not installed, or the table there has other columns.
        StorageError: the table cannot be read or made.
    """
    with _explained(location):
        import deltalake
        from deltalake.exceptions import TableNotFoundError

        try:
            table = deltalake.DeltaTable(location)
        except TableNotFoundError:
            table = _make_table(location, shape)
    found = {field.name for field in table.schema().fields}
    if found != set(shape.columns):
        differing = ", ".join(sorted(found ^ set(shape.columns)))
        raise DataError(f"{location}: is a table with other columns ({differing}); move it elsewhere")
    return Snapshot(location, shape, table)


def query_tables(tables: Mapping[str, Snapshot], views: Mapping[str, str], sql: str) -> QueryResult:
    """What a query answers over tables by name, and over views (a name and its query) of them. Writes nothing.

    Raises:
        DataError: the query is no single SELECT, or it cannot be answered; says why.
    """
    from deltalake import QueryBuilder
    from deltalake.exceptions import DeltaError

    _refuse_other_than_select(sql)
    builder = QueryBuilder()
    for name, snapshot in tables.items():
        builder.register(name, snapshot.table)
    try:
        for name, view in views.items():
            builder.execute(f"CREATE VIEW {name} AS {view}")
        answer = builder.execute(sql).read_all()
    except (DeltaError, OSError) as error:
        raise DataError(f"the query cannot be answered: {_first_line(error)}") from None
    columns = [column.to_pylist() for column in answer.columns]
    return QueryResult(tuple(answer.column_names), list(zip(*columns, strict=True)))


def maintain_table(location: str, shape: TableShape) -> Maintenance:
    """Join small files, and delete files that no version of the last days needs. No row changes.

    Raises:
        DataError, StorageError: as `open_table`.
    """
    snapshot = open_table(location, shape)
    with _explained(location):
        table = snapshot.table
        compacted = table.optimize.compact()
        deleted = table.vacuum(retention_hours=KEPT_FILES_HOURS, dry_run=False)
        table.create_checkpoint()
        table.cleanup_metadata()
    return Maintenance(compacted["numFilesRemoved"], compacted["numFilesAdded"], len(deleted))


def quote(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.translate({ord("'"): "''"}) + "'"


def count_days(epoch_s: float) -> int:
    """The value of a DAY column: the UTC day of a time (epoch s)."""
    return int(epoch_s // 86_400)


def format_month(epoch_s: float) -> str:
    """The UTC month of a time (epoch s), as 2026-01."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m")


def _make_table(location: str, shape: TableShape) -> "deltalake.DeltaTable":
    import deltalake

    if "://" not in location:
        make_folder(Path(location))
    deltalake.DeltaTable.create(
        location,
        _arrow_schema(shape),
        mode="ignore",
        partition_by=list(shape.partition_by),
        configuration={
            "delta.dataSkippingStatsColumns": ",".join(shape.indexed),
            "delta.deletedFileRetentionDuration": f"interval {KEPT_FILES_HOURS} hours",
        },
    )
    return deltalake.DeltaTable(location)


def _commit_properties(transactions: Mapping[str, int]) -> "deltalake.CommitProperties":
    import deltalake

    versions = [deltalake.Transaction(name, version) for name, version in transactions.items()]
    return deltalake.CommitProperties(app_transactions=versions)


def _arrow_schema(shape: TableShape) -> Any:
    from arro3.core import DataType, Field, Schema

    types = {
        ColumnType.TEXT: DataType.string(),
        ColumnType.NUMBER: DataType.float64(),
        ColumnType.COUNT: DataType.int64(),
        ColumnType.FLAG: DataType.bool(),
        ColumnType.DAY: DataType.date32(),
    }
    return Schema([Field(name, types[kind], nullable=True) for name, kind in shape.columns.items()])


def _arrow_table(shape: TableShape, rows: Mapping[str, Sequence[Any]]) -> Any:
    from arro3.core import Array, DataType, Table

    schema = _arrow_schema(shape)
    arrays = []
    for index, (name, kind) in enumerate(shape.columns.items()):
        if kind is ColumnType.DAY:
            arrays.append(Array(rows[name], type=DataType.int32()).cast(schema.field(index).type))
        else:
            arrays.append(Array(rows[name], type=schema.field(index).type))
    return Table.from_arrays(arrays, schema=schema)


def _refuse_other_than_select(sql: str) -> None:
    """DataFusion also knows COPY TO, which writes files. What begins with SELECT or WITH only reads."""
    words = sql.split(None, 1)
    if not words or words[0].upper() not in ("SELECT", "WITH"):
        raise DataError("only a query that begins with SELECT or WITH can be answered; nothing was run")


@contextmanager
def _explained(location: str) -> Iterator[None]:
    """Turns what `deltalake` raises into an error that names the place."""
    if not is_delta_installed():
        raise DataError(
            f"the history needs the package {_PACKAGE}, which is not installed;"
            " run pip install 'pipeline_v6_dagster[history]'"
        )
    from deltalake.exceptions import CommitFailedError, DeltaError

    try:
        yield
    except CommitFailedError:
        raise StaleSnapshotError(f"{location}: another process writes to it; try again later") from None
    except (DeltaError, OSError) as error:
        raise StorageError(f"{location}: cannot be read or written: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
