"""The rows of the alert log that record the evidence: identities, acknowledgements, lost input."""

import msgspec


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


class BoundaryRecord(msgspec.Struct, frozen=True, kw_only=True, tag="boundary", tag_field="type"):
    """Where the acknowledgement of `acknowledged_ts` began an epoch: at `fixed_at`, with decision `first_number`.

    It took effect when `next_number` decisions had been read, which a rebuild repeats.
    """

    ts: float
    acknowledged_ts: float
    fixed_at: float
    first_number: int
    next_number: int


class LossRecord(msgspec.Struct, frozen=True, kw_only=True, tag="loss", tag_field="type"):
    """Bytes of an input that were gone from all of its files before they were read.

    `after` is the digest of the last line that was read: a run that was killed records the same loss again.
    """

    ts: float
    input: str
    after: str
    lost_bytes: int


EvidenceRecord = IdentityRecord | Acknowledgement | BoundaryRecord | LossRecord

_decoder: msgspec.json.Decoder[EvidenceRecord] = msgspec.json.Decoder(EvidenceRecord)
_encoder = msgspec.json.Encoder()
# What a line of another kind never holds: most lines of the alert log are messages and are not decoded.
_TAGS = tuple(b'"type":"%b"' % tag for tag in (b"identity", b"acknowledgement", b"boundary", b"loss"))


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
