"""Sending messages to channels, all at the same time and within one time budget.

A channel is named by its scheme and place, never by its URL, which holds secrets.
"""

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from pipeline_v6_dagster.alerts.message import Message
from pipeline_v6_dagster.alerts.sender import SendRequest

_MODULE = "pipeline_v6_dagster.alerts.sender"


def name_channels(urls: Sequence[str]) -> dict[str, str]:
    """The URL of each channel, by a name that may be shown: `json#1`, `slack#1`, `json#2`."""
    channels: dict[str, str] = {}
    counts: dict[str, int] = {}
    for url in urls:
        scheme = url.partition(":")[0].lower()
        counts[scheme] = counts.get(scheme, 0) + 1
        channels[f"{scheme}#{counts[scheme]}"] = url
    return channels


def send_all(
    channels: Mapping[str, str], waiting: Mapping[str, Sequence[Message]], budget_s: float
) -> Iterator[tuple[str, str]]:
    """Send to each channel what waits for it, oldest first; yields (channel, alert_id) of each accepted message.

    Every channel has a process of its own, so none waits for another. After `budget_s` seconds those that are still at
    work are ended: what they had not accepted by then waits for the next call.
    """
    accepted: queue.Queue[tuple[str, str | None]] = queue.Queue()
    senders = {
        channel: _start(channels[channel], messages)
        for channel, messages in waiting.items()
        if messages and channel in channels
    }
    for channel, sender in senders.items():
        threading.Thread(target=_read, args=(channel, sender, accepted), daemon=True).start()
    deadline = time.monotonic() + budget_s
    at_work = set(senders)
    try:
        while at_work:
            try:
                channel, sent = accepted.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            if sent is None:
                at_work.discard(channel)
            else:
                yield channel, sent
    finally:
        for sender in senders.values():
            _end(sender)


def _start(url: str, messages: Sequence[Message]) -> "subprocess.Popen[bytes]":
    sender = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
        [sys.executable, "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # What a channel answers when it refuses may hold the URL.
        stderr=subprocess.DEVNULL,
    )
    request = msgspec.json.encode(SendRequest(url, tuple(messages)))
    # In a thread: a process that is slow to start does not read yet.
    threading.Thread(target=_write, args=(sender, request), daemon=True).start()
    return sender


def _write(sender: "subprocess.Popen[bytes]", request: bytes) -> None:
    assert sender.stdin is not None  # noqa: S101 -- it was asked for
    try:
        with sender.stdin as pipe:
            pipe.write(request)
    except OSError:
        return  # It has ended, and its exit says so.


def _read(channel: str, sender: "subprocess.Popen[bytes]", accepted: "queue.Queue[tuple[str, str | None]]") -> None:
    assert sender.stdout is not None  # noqa: S101 -- it was asked for
    with sender.stdout as pipe:
        for line in pipe:
            if line.endswith(b"\n"):
                accepted.put((channel, line.decode().strip()))
    accepted.put((channel, None))


def _end(sender: "subprocess.Popen[bytes]") -> None:
    if sender.poll() is None:
        sender.kill()
    sender.wait()
