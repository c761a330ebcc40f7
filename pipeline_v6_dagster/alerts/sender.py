"""The process that sends to one channel: `python -m pipeline_v6_dagster.alerts.sender`.

It reads one request from its standard input, so that no command line shows the URL, and writes the id of each message
that the channel has accepted, one a line, in their order; it ends at the first that the channel refuses. It is a
process of its own because a receiver that answers a byte a second keeps any thread busy for as long as it likes: the
parent ends the process when its time is up.
"""

import logging
import sys
from typing import TYPE_CHECKING

import msgspec

from pipeline_v6_dagster.alerts.message import Kind, Message, Severity, format_body, format_title

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
    for message in request.messages:
        if channel is None or not _notify(channel, message):
            return 1
        print(message.alert_id, flush=True)  # noqa: T201 -- the answer to the parent
    return 0


def open_channel(url: str) -> "apprise.Apprise | None":
    """The channel behind `url`; None where the URL is none. A redirect is refused: its target is not the receiver."""
    import apprise  # Takes a third of a second, which only those who send should wait for.

    channel = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
    return channel if channel.add(url) else None


def _notify(channel: "apprise.Apprise", message: Message) -> bool:
    import apprise

    return bool(
        channel.notify(
            title=format_title(message),
            body=format_body(message),
            notify_type=_notify_type(message),
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


def _notify_type(message: Message) -> str:
    if message.kind is Kind.ENDS:
        return "success"
    return "failure" if message.severity is Severity.ERROR else "warning"


if __name__ == "__main__":
    sys.exit(main())
