"""The lines of one file, newest first, without holding more of it than a line and a piece."""

import os
from collections.abc import Iterator
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO

_READ_BYTES = 1 << 16
# An archive is as big as a rotation plus its last block; one with a giant block is read from the disk.
_SPOOL_BYTES = 40_000_000


def whole_lines_backward(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """(byte after the line's newline, the line without it) of each whole line, newest first."""
    size = file.seek(0, os.SEEK_END)
    for end, line in lines_backward(file, size):
        if line.endswith(b"\n"):
            yield end, line[:-1]


def unpacked_lines_backward(packed: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """As `whole_lines_backward`, of a file in which one can only go forward."""
    with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as plain:
        copyfileobj(packed, plain)
        yield from whole_lines_backward(plain)


def lines_backward(file: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """(where it ends, the line with its newline) from the end of a file; an unfinished end comes first."""
    end = start = size
    pieces: list[bytes] = []  # of the line whose start is not reached yet, its end first
    while start > 0:
        step = min(_READ_BYTES, start)
        start -= step
        file.seek(start)
        chunk = file.read(step)
        if len(chunk) < step:
            pieces = []  # A writer cut a torn end meanwhile: what was held back of it is gone.
        first, *lines = chunk.split(b"\n")
        if lines:
            pieces.append(lines.pop())
            line = b"".join(reversed(pieces))
            if line:
                yield end, line
                end -= len(line)
            for inner in reversed(lines):
                yield end, inner + b"\n"
                end -= len(inner) + 1
            first += b"\n"
            pieces = []
        pieces.append(first)
    if pieces:
        yield end, b"".join(reversed(pieces))
