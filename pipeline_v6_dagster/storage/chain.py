"""The hash chain of our own logs: what each line says of itself and of the line before it.

The last field of a line is `"chain":"<number>:<hash before>:<hash>"`. The hash covers the number, the hash before and
the line as it was without this field, so each line can be checked by itself, and each pair of neighbours by the two
hashes. Without a key, whoever rewrites a line and all that follow it leaves a chain that is whole. With a key the hash
is an HMAC (RFC 2104), which only somebody who has the key can make.
"""

import hmac
import re
from binascii import hexlify
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

# 128 bits of a SHA-256: the machine has instructions for it, and nobody finds two lines that share them.
_DIGITS = 32
_FIELD = re.compile(rb',"chain":"([1-9]\d{0,17}):([0-9a-f]{32}):([0-9a-f]{32})"\}')
# The longest a link may be: what surrounds it, the number, two hashes.
_FIELD_BYTES = 12 + 18 + 1 + 32 + 1 + 32 + 2


class Link(NamedTuple):
    """The number of a line, from 1 in the life of its log, the hash of the line before it, and its own."""

    number: int
    before: str
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.before}:{self.hash}"


# What stands before the first line of a log.
ORIGIN = Link(0, "0" * _DIGITS, "0" * _DIGITS)


class _Hash(Protocol):
    def copy(self) -> Self: ...
    def update(self, content: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def _new_hash(key: bytes | None) -> _Hash:
    return sha256() if key is None else hmac.new(key, digestmod=sha256)


def chain_block(lines: Iterable[bytes], newest: Link, key: bytes | None = None) -> tuple[bytes, Link]:
    """The bytes of a block: each line, a JSON object, with its link as its last field; and the last link."""
    number, before, own = newest.number, newest.before.encode(), newest.hash.encode()
    start_hash = _new_hash(key).copy  # Cheaper than to prepare the algorithm and the key for every line.
    block: list[bytes] = []
    for line in lines:
        number += 1
        before = own
        link = b"%d:%b:" % (number, before)
        digest = start_hash()
        digest.update(link)
        digest.update(line)
        own = hexlify(digest.digest()[: _DIGITS // 2])
        # Spliced in, not encoded again: the line keeps every byte that it had. What is long is copied once, at the end.
        block += line[:-1], b',"chain":"%b%b"}\n' % (link, own)
    return b"".join(block), Link(number, before.decode(), own.decode())


def read_link(line: bytes) -> Link | None:
    """What a line says of itself; None where it says nothing."""
    found = _FIELD.fullmatch(line, line.rfind(b',"chain":"', max(0, len(line) - _FIELD_BYTES)))
    return Link(int(found[1]), found[2].decode(), found[3].decode()) if found else None


def link_from(text: str) -> Link | None:
    """A link as its text gives it; None where it is none."""
    return read_link(b'{,"chain":"%b"}' % text.encode("utf-8", "replace"))


def is_untouched(line: bytes, link: Link, key: bytes | None = None) -> bool:
    """Whether a line is what it was when its link was made, by somebody who had the key."""
    digest = _new_hash(key)
    digest.update(b"%d:%b:%b" % (link.number, link.before.encode(), unchained(line)))
    return hmac.compare_digest(digest.digest()[: _DIGITS // 2].hex(), link.hash)


def unchained(line: bytes) -> bytes:
    """The line as it was before it was chained; one that is not chained as it is."""
    start = line.rfind(b',"chain":"', max(0, len(line) - _FIELD_BYTES))
    return line[:start] + b"}" if _FIELD.fullmatch(line, start) else line
