"""Opening a file without waiting for a writer or reading without end: a pipe or a device is refused."""

import errno
import os
from pathlib import Path
from stat import S_ISDIR, S_ISREG


def open_regular(path: str, flags: int) -> int:
    """An `opener` for `open`. `/dev/null`, to which some link what they do not want, is an empty file.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    file = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # Else a pipe without a writer would be waited for.
    found = os.fstat(file)
    if S_ISREG(found.st_mode) or found.st_rdev == Path(os.devnull).stat().st_rdev != 0:
        return file
    os.close(file)
    if S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "is no regular file", path)


def read_regular(path: Path) -> bytes:
    """The content of a file.

    Raises:
        OSError: as `open_regular`, or it cannot be read.
    """
    with open(path, "rb", opener=open_regular) as file:
        return file.read()
