"""Sending a message to a channel. A channel is named by its scheme and place, never by its URL, which holds secrets."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline_v6_dagster.alerts.message import Kind, Message, Severity, body_of, title_of

# What these say while a message is sent holds URLs, with tokens and passwords in them.
_TALKATIVE = ("apprise", "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests", "requests_oauthlib")


def channels_of(urls: Sequence[str]) -> dict[str, str]:
    """The URL of each channel, by a name that may be shown: `json#1`, `slack#1`, `json#2`."""
    channels: dict[str, str] = {}
    counts: dict[str, int] = {}
    for url in urls:
        scheme = url.partition(":")[0].lower()
        counts[scheme] = counts.get(scheme, 0) + 1
        channels[f"{scheme}#{counts[scheme]}"] = url
    return channels


def send(url: str, message: Message) -> bool:
    """Whether the channel took the message. What the channel says of a failure is not kept: it may hold secrets."""
    import apprise  # Takes a third of a second, which only those who send should wait for.

    with _silenced():
        desk = apprise.Apprise()
        if not desk.add(url):
            return False
        return bool(
            desk.notify(
                title=title_of(message),
                body=body_of(message),
                notify_type=_type_of(message),
                body_format=apprise.NotifyFormat.TEXT,
            )
        )


def _type_of(message: Message) -> str:
    if message.kind is Kind.ENDS:
        return "success"
    return "failure" if message.severity is Severity.ERROR else "warning"


@contextmanager
def _silenced() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, was_disabled in zip(loggers, before, strict=True):
            logger.disabled = was_disabled
