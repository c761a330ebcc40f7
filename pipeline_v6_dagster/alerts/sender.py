"""The process that sends to one channel: `python -m pipeline_v6_dagster.alerts.sender`.

It reads one request from its standard input, so that no command line shows the URL, and writes the id of each message
that the channel has accepted, one a line, in their order; it ends at the first that the channel refuses. It is a
process of its own because a receiver that answers a byte a second keeps any thread busy for as long as it likes: the
parent ends the process when its time is up.
"""

import logging
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline_v6_dagster.alerts.message import (
    PROGRAM,
    Kind,
    Message,
    Severity,
    format_body,
    format_title,
    format_title_of_many,
)

if TYPE_CHECKING:
    import apprise


class SendRequest(msgspec.Struct, frozen=True):
    """What to send to the channel behind `url`, oldest first."""

    url: str
    messages: tuple[Message, ...]


def main() -> int:
    """Send what standard input asks for. Returns 0 where the channel accepted every message."""
    # What the channel's library logs of a failure holds URLs, with tokens and passwords in them.
    logging.disable(logging.CRITICAL)
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=SendRequest)
    channel = open_channel(request.url)
    for notification in notifications(request.messages):
        if channel is None or not _notify(channel, notification):
            return 1
        for message in notification:
            print(message.alert_id, flush=True)  # noqa: T201 -- the answer to the parent
    return 0


def notifications(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """What is sent at once, in order: an error alone, and all warnings that were recorded in the same moment together.

    The first run over old logs finds ten things at once; so does the end of a bad day. Nobody wants ten calls.
    """
    for key, together in groupby(messages, key=_moment):
        if key is None:
            yield from ([message] for message in together)
        else:
            yield list(together)


def _moment(message: Message) -> tuple[float, Kind] | None:
    is_urgent = message.severity is Severity.ERROR and message.kind is not Kind.ENDS
    return None if is_urgent else (message.ts, message.kind)


def open_channel(url: str) -> "apprise.Apprise | None":
    """The channel behind `url`; None where the URL is none. A redirect is refused: its target is not the receiver."""
    import apprise  # Takes a third of a second, which only those who send should wait for.

    channel = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
    if not channel.add(url):
        return None
    for service in channel:
        # A body that is longer than the service takes would be refused, and with it all that waits behind it.
        if service.overflow_mode == apprise.OverflowMode.UPSTREAM:
            service.overflow_mode = apprise.OverflowMode.SPLIT
    return channel


def program_path() -> str:
    """The program beside the running Python: few have the folder of a virtual environment in their PATH."""
    installed = Path(sys.executable).with_name(PROGRAM)
    return str(installed) if installed.exists() else PROGRAM


def _notify(channel: "apprise.Apprise", messages: Sequence[Message]) -> bool:
    import apprise

    first, *others = messages
    program = program_path()
    bodies = [
        f"{number} of {len(messages)}: {each.subject}\n{format_body(each, program)}"
        for number, each in enumerate(messages, 1)
    ]
    return bool(
        channel.notify(
            title=format_title_of_many(messages) if others else format_title(first),
            body="\n\n".join(bodies) if others else format_body(first, program),
            notify_type=_notify_type(first),
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


def _notify_type(message: Message) -> str:
    if message.kind is Kind.ENDS:
        return "success"
    return "failure" if message.severity is Severity.ERROR else "warning"


if __name__ == "__main__":
    sys.exit(main())
