"""The lines of a log of ours, newest first, and any of them again by its place, whatever rotates in the meantime."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Self

from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.storage.backward import whole_lines_backward
from pipeline_v6_dagster.storage.log_files import LogFile, open_log_files

# A place is one number: the file in its upper bits, the byte with which the line starts in these.
_OFFSET_BITS = 40
_READ_BYTES = 1 << 12


class PlacedLines:
    """Reads a log backward and remembers its files, so that a line can be read again without a search.

    A context manager: it holds the files open, each once. Of archives, in which one can only go forward, it keeps what
    was unpacked of them in temporary files without a name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._files: list[IO[bytes]] = []
        self._numbers: dict[tuple[int, int], int] = {}  # of the files that may be met again, by device and inode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def backward(self) -> Generator[tuple[int, bytes]]:
        """(place, line without its newline) of every whole line that is there now, newest first.

        Raises:
            StorageError: a file cannot be read.
        """
        with open_log_files(self._path, with_archives=True) as log_files:
            for log_file in reversed(log_files):
                number = self._hold(log_file)
                base = number << _OFFSET_BITS
                for end, line in whole_lines_backward(self._files[number]):
                    yield base + end - len(line) - 1, line

    def read(self, place: int) -> bytes:
        """The line at a place, without its newline.

        Raises:
            StorageError: it cannot be read.
        """
        file, offset = self._files[place >> _OFFSET_BITS].fileno(), place & ((1 << _OFFSET_BITS) - 1)
        pieces: list[bytes] = []
        try:
            while piece := os.pread(file, _READ_BYTES, offset):
                line, newline, _ = piece.partition(b"\n")
                pieces.append(line)
                if newline:
                    break
                offset += len(piece)
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be read: {error.strerror or error}") from error
        return b"".join(pieces)

    def _hold(self, log_file: LogFile) -> int:
        """The number of a file, which stays open from here on."""
        with log_file.reading() as file:
            if log_file.is_compressed:
                held: IO[bytes] = self._stack.enter_context(TemporaryFile())
                copyfileobj(file, held)
                held.flush()
                self._files.append(held)
                return len(self._files) - 1
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino)
            if key not in self._numbers:
                held = self._stack.enter_context(os.fdopen(os.dup(file.fileno()), "rb"))
                self._numbers[key] = len(self._files)
                self._files.append(held)
            return self._numbers[key]
