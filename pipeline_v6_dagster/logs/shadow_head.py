"""The head of the shadow log: what its newest decisions add up to, and the place in the log up to which it was made."""

from collections import Counter
from collections.abc import Iterable
from itertools import dropwhile
from typing import Any

import msgspec

from pipeline_v6_dagster.config.regular_file import read_regular
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.errors import StorageError
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.domain.summary import Head, Window
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log, read_source
from pipeline_v6_dagster.logs.shadow_rows import parse_shadow_row
from pipeline_v6_dagster.storage.chain import read_link


def make_head(newest_first: Iterable[bytes], limit: int, generated_ts: float) -> Head:
    """The head over the newest `limit` decisions among lines of the shadow log; `generated_ts` in epoch s."""
    window: list[bytes] = []
    reasons: Counter[str] = Counter()
    times: list[float] = []
    allowed = 0
    for line in newest_first:
        row = parse_shadow_row(line, fallback_id="")
        if isinstance(row, Unusable):
            continue
        decision = row.decision
        window.append(line)
        times.append(decision.as_of)
        allowed += decision.is_allowed
        reasons.update(decision.reasons)
        if len(window) == limit:
            break
    return Head(
        generated_ts=generated_ts,
        total=len(window),
        allowed=allowed,
        vetoed=len(window) - allowed,
        last_decision=msgspec.json.decode(window[0], type=dict[str, Any]) if window else None,
        veto_reasons=dict(reasons.most_common()),
        window=Window(limit, min(times, default=None), max(times, default=None)),
        log=_read_up_to(window),
    )


def encode_head(head: Head) -> bytes:
    """The content of the head's file."""
    return msgspec.json.format(msgspec.json.encode(head), indent=2) + b"\n"


def read_head(settings: Settings) -> Head | bytes | None:
    """The head as its file holds it; its bytes if it is none that this project wrote, None if there is no file.

    Raises:
        StorageError: the file cannot be read.
    """
    path = settings.shadow_head
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        head = msgspec.json.decode(content, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content
    return head if encode_head(head) == content and _is_limit(head) else content


def is_head_of_log(settings: Settings, head: Head) -> bool:
    """Whether the head says what the log says up to the place that it names. A place that is gone contradicts nothing.

    Raises:
        StorageError: the log cannot be read.
    """
    chain = head.log.get("chain")
    lines: Iterable[bytes] = ()
    if chain is not None:
        lines = dropwhile(lambda line: str(read_link(line)) != chain, open_shadow_log(settings).backward())
    made = make_head(lines, head.window.limit, head.generated_ts)
    if chain is not None and made.last_decision is None:
        return True  # The chain's verification reports that the line is missing.
    return encode_head(made) == encode_head(head)


def _is_limit(head: Head) -> bool:
    return head.window.limit > 0 and isinstance(head.log.get("chain"), str | None)


def _read_up_to(window: list[bytes]) -> dict[str, Any]:
    found = read_source(window[0]) if window else None
    if found is None:
        return {"decision_id": None, "source": None, "chain": None}
    decision_id, source = found
    link = read_link(window[0])
    return {
        "decision_id": decision_id,
        "source": msgspec.to_builtins(source),
        "chain": str(link) if link is not None else None,
    }
