"""What the lines of the outbox add up to: which states last, what waits to be sent, what was announced before."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from pipeline_v6_dagster.alerts.message import AcknowledgedBy, Delivery, Message, is_silenced
from pipeline_v6_dagster.alerts.states import Evidence, Policy, message_for, repeats, worth_announcing
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import DataError
from pipeline_v6_dagster.logs.evidence_rows import Acknowledgement, decode_record
from pipeline_v6_dagster.storage.jsonl_log import JsonlLog, LineKind

# What is written here. The records of the evidence stand in the same log and are written by `evidence_records`.
Line = Message | Delivery

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_encoder = msgspec.json.Encoder()


def decode_line(line: bytes) -> Line | None:
    """A line of the outbox; None where it is not one."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def encode_line(line: Line) -> bytes:
    """A line without its newline."""
    return _encoder.encode(line)


@dataclass
class Outbox:
    """The newest message of each subject, the messages not yet accepted by a channel (oldest first), all ids.

    `acknowledged` holds the newest acknowledgement of each criterion.
    """

    newest: dict[str, Message] = field(default_factory=dict)
    waiting: list[tuple[Message, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    acknowledged: dict[str, AcknowledgedBy] = field(default_factory=dict)

    @classmethod
    def of(cls, newest_first: Iterable[Line | Acknowledgement]) -> "Outbox":
        """The outbox that these lines are."""
        outbox = cls()
        accepted: set[tuple[str, str]] = set()
        for line in newest_first:
            if isinstance(line, Acknowledgement):
                outbox.acknowledged.setdefault(line.criterion, acknowledged_by(line))
                continue
            if isinstance(line, Delivery):
                accepted.add((line.alert_id, line.channel))
                continue
            outbox.ids.add(line.alert_id)
            outbox.newest.setdefault(line.subject, line)
            outbox.waiting += (
                (line, channel) for channel in reversed(line.channels) if (line.alert_id, channel) not in accepted
            )
        outbox.waiting.reverse()
        return outbox

    def add(self, line: Line) -> None:
        """A line that was appended."""
        if isinstance(line, Delivery):
            taken = (line.alert_id, line.channel)
            self.waiting = [each for each in self.waiting if (each[0].alert_id, each[1]) != taken]
            return
        self.ids.add(line.alert_id)
        self.newest[line.subject] = line
        self.waiting += ((line, channel) for channel in line.channels)

    def waiting_by_channel(self) -> dict[str, list[Message]]:
        """What each channel has not accepted yet, oldest first."""
        by_channel: dict[str, list[Message]] = {}
        for message, channel in self.waiting:
            by_channel.setdefault(channel, []).append(message)
        return by_channel

    def due(self, runs: Sequence[Sequence[Evidence]], policy: Policy, now: float) -> list[Message]:
        """The messages that the evidence of these runs (oldest first) makes due, and those that repeat."""
        messages: list[Message] = []
        newest = dict(self.newest)
        standing = {name: each for name, each in self.acknowledged.items() if is_silenced(each.ts, each.until, now)}
        for of_one_run in runs:
            for evidence in worth_announcing(of_one_run):
                evidence = replace(evidence, acknowledged=standing.get(evidence.name))
                message = message_for(evidence, newest.get(evidence.subject), policy, now)
                # One that is known was recorded by a call that did not come to its end.
                if message is not None and message.alert_id not in self.ids:
                    newest[message.subject] = message
                    messages.append(message)
        messages += repeats(newest.values(), policy, now, standing)
        return messages


def open_outbox(settings: Settings, *, key: bytes | None = None) -> JsonlLog:
    """The outbox. Each line is complete by itself, so each ends a block. Whoever appends gives the chain's key."""
    return JsonlLog(settings.alert_outbox, _classify_line, key=key)


def _classify_line(line: bytes) -> LineKind:
    is_ours = decode_line(line) is not None or decode_record(line) is not None
    return LineKind.BLOCK_END if is_ours else LineKind.FOREIGN


def read_line(line: bytes) -> Line:
    """The line of the outbox.

    Raises:
        DataError: it is not one.
    """
    decoded = decode_line(line)
    if decoded is None:
        raise DataError(
            "pipeline_v6_alerts.jsonl: a line is not understood; move the file away and go on with a new one"
        )
    return decoded


def acknowledged_by(record: Acknowledgement) -> AcknowledgedBy:
    """A recorded acknowledgement as messages name it."""
    return AcknowledgedBy(ts=record.ts, by=record.by, why=record.why, until=record.until)


def messages_backward(log: JsonlLog) -> Iterator[Line | Acknowledgement]:
    """Messages, deliveries and acknowledgements, newest first, without the other records of the evidence.

    Raises:
        DataError: a line is of neither kind.
        StorageError: the log cannot be read.
    """
    for line in log.backward():
        record = decode_record(line)
        if record is None:
            yield read_line(line)
        elif isinstance(record, Acknowledgement):
            yield record
