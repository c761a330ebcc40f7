"""Reading a file that is compressed with Zstandard, to its end or with an error.

The readers of the library stop without an error where a file is cut off, as a rotation is that was still being
compressed or that a full disk cut short. Here the end of each frame is required.
"""

from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Zstandard can pack 32 KB into a byte, and all that a piece holds is unpacked at once.
_PIECE_BYTES = 1 << 10


def open_zstd(source: Path | IO[bytes], mode: str = "rb") -> BufferedReader:
    """The content of a file, from the start; a file that was given stays open.

    Raises:
        OSError: it cannot be opened, or what is read of it is damaged.
        EOFError: it ends in the middle of a frame.
    """
    is_ours = isinstance(source, Path)
    packed = source.open(mode) if isinstance(source, Path) else source
    return BufferedReader(_Unpacked(packed, closes=is_ours))


class _Unpacked(RawIOBase):
    """The content, in which one goes forward; going back begins again."""

    def __init__(self, packed: IO[bytes], *, closes: bool) -> None:
        self._packed, self._closes = packed, closes
        self._begin()

    def _begin(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._is_within_frame = False
        self._unpacked = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        wanted = memoryview(buffer)
        while not self._unpacked:
            packed = self._frame.unused_data or self._packed.read(_PIECE_BYTES)
            if not packed:
                if self._is_within_frame:
                    raise EOFError("ends before its last frame does")
                return 0
            self._unpack(packed)
        count = min(len(wanted), len(self._unpacked))
        wanted[:count] = self._unpacked[:count]
        self._unpacked = self._unpacked[count:]
        self._at += count
        return count

    def _unpack(self, packed: bytes) -> None:
        if self._frame.eof:  # Several files that were compressed one by one may have been joined.
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            self._unpacked = self._frame.decompress(packed)
        except zstandard.ZstdError as error:
            raise OSError(f"is damaged: {error}") from error
        self._is_within_frame = not self._frame.eof

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence:
            raise OSError("only a place from the start can be sought in a compressed file")
        if offset < self._at:
            self._packed.seek(0)
            self._begin()
        skipped = bytearray(1 << 16)
        while self._at < offset and self.readinto(memoryview(skipped)[: offset - self._at]):
            pass
        return self._at

    def close(self) -> None:
        if self._closes:
            self._packed.close()
        super().close()
