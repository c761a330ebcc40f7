"""What the alert log records of the evidence: identities, acknowledgements, lost input.

A rebuild has only the logs to go by. What they cannot tell (which settings judged which decisions, who answered for
an incident, what an input lost before it was read) is a chained line of the alert log, and is never rewritten.
"""

from collections.abc import Iterator, Sequence

import msgspec

from pipeline_v6_dagster.storage.follow import Follower


class IdentityRecord(msgspec.Struct, frozen=True, kw_only=True, tag="identity", tag_field="type"):
    """From decision `first_number` of the shadow log on, the verdict is under the settings that `identity` hashes.

    `ts` (epoch s) is when it was recorded; it decides nothing. `settings` names the values for people.
    """

    ts: float
    identity: str
    first_number: int
    settings: dict[str, str]


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledgement", tag_field="type"):
    """`by` answers for an incident of `criterion`.

    With `fixed_at` (epoch s) an epoch begins with the first decision made at or after it. Alerts of the criterion are
    not repeated before `until` (epoch s).
    """

    ts: float
    criterion: str
    by: str
    why: str
    fixed_at: float | None = None
    until: float | None = None


class LossRecord(msgspec.Struct, frozen=True, kw_only=True, tag="loss", tag_field="type"):
    """Bytes of an input that were gone from all of its files before they were read."""

    ts: float
    input: str
    lost_bytes: int


EvidenceRecord = IdentityRecord | Acknowledgement | LossRecord

_decoder: msgspec.json.Decoder[EvidenceRecord] = msgspec.json.Decoder(EvidenceRecord)
_encoder = msgspec.json.Encoder()
# What a line of another kind never holds: most lines of the alert log are messages and are not decoded.
_TAGS = tuple(b'"type":"%b"' % tag for tag in (b"identity", b"acknowledgement", b"loss"))


def encode_record(record: EvidenceRecord) -> bytes:
    """A record without its newline."""
    return _encoder.encode(record)


def decode_record(line: bytes) -> EvidenceRecord | None:
    """The record in a line of the alert log; None if the line is of another kind."""
    if not any(tag in line for tag in _TAGS):
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_records(follower: Follower) -> Iterator[tuple[EvidenceRecord | None, int]]:
    """Each record after the follower's offset, None for a line of another kind, with the line's number."""
    for number, line in enumerate(follower.lines()):
        yield decode_record(line.raw), number


def standing_acknowledgements(records: Sequence[EvidenceRecord], now: float) -> dict[str, Acknowledgement]:
    """The newest acknowledgement of each criterion that has not run out at `now` (epoch s)."""
    newest = {record.criterion: record for record in records if isinstance(record, Acknowledgement)}
    return {name: each for name, each in newest.items() if each.until is None or now < each.until}
