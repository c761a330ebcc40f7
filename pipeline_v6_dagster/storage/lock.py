"""One writer per log, between processes. The lock dies with its owner (flock), so none is ever left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline_v6_dagster.domain.errors import BusyError, StorageError
from pipeline_v6_dagster.storage.files import FILE_MODE, make_folder


@contextmanager
def locked(log: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of `log`.

    Raises:
        BusyError: another process held it for `timeout_s` seconds.
        StorageError: the lock file cannot be made.
    """
    make_folder(log.parent)
    lock = FileLock(log.with_name(f".{log.name}.lock"), timeout=timeout_s, mode=FILE_MODE)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(f"{log}: another process has written to it for {timeout_s:g} s; try again later") from None
    except OSError as error:
        raise StorageError(f"{lock.lock_file}: cannot be locked: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
