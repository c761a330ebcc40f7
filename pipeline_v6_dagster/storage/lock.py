"""One writer per log, between processes. The lock dies with its owner (flock), so none is ever left behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline_v6_dagster.domain.errors import BusyError, StorageError
from pipeline_v6_dagster.storage.files import FILE_MODE, make_folder

# Longer than a run over a usual backlog holds the lock, and well within the shortest default interval of a job.
LOCK_TIMEOUT_S = 30.0


@contextmanager
def locked(log: Path, timeout_s: float | None = None) -> Iterator[None]:
    """Hold the lock of `log`. `timeout_s`: seconds to wait for it, `LOCK_TIMEOUT_S` if None.

    Raises:
        BusyError: another process held it for all of that time.
        StorageError: the lock file cannot be made.
    """
    timeout_s = LOCK_TIMEOUT_S if timeout_s is None else timeout_s
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
