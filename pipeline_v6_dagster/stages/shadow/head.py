"""The heartbeat stage: refresh the head of the shadow log, also while the executor is silent."""

from collections import Counter
from typing import Any

import msgspec

from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.quality import Unusable
from pipeline_v6_dagster.domain.summary import Head, Window
from pipeline_v6_dagster.logs.shadow_log import open_shadow_log, read_source
from pipeline_v6_dagster.logs.shadow_rows import parse_shadow_row
from pipeline_v6_dagster.storage.chain import link_of
from pipeline_v6_dagster.storage.files import replace_file


def refresh_head(settings: Settings, now: float) -> Head:
    """Write the head over the newest decisions and return it.

    Raises:
        StorageError: the shadow log cannot be read or the head not be written.
    """
    window: list[bytes] = []
    reasons: Counter[str] = Counter()
    times: list[float] = []
    allowed = 0
    for line in open_shadow_log(settings).backward():
        row = parse_shadow_row(line, fallback_id="")
        if isinstance(row, Unusable):
            continue
        decision = row.decision
        window.append(line)
        times.append(decision.as_of)
        allowed += decision.is_allowed
        reasons.update(decision.reasons)
        if len(window) == settings.head_limit:
            break
    head = Head(
        generated_ts=now,
        total=len(window),
        allowed=allowed,
        vetoed=len(window) - allowed,
        last_decision=msgspec.json.decode(window[0], type=dict[str, Any]) if window else None,
        veto_reasons=dict(reasons.most_common()),
        window=Window(settings.head_limit, min(times, default=None), max(times, default=None)),
        log=_read_up_to(window),
    )
    replace_file(settings.shadow_head, msgspec.json.format(msgspec.json.encode(head), indent=2) + b"\n")
    return head


def _read_up_to(window: list[bytes]) -> dict[str, Any]:
    found = read_source(window[0]) if window else None
    if found is None:
        return {"decision_id": None, "source": None, "chain": None}
    decision_id, source = found
    link = link_of(window[0])
    return {
        "decision_id": decision_id,
        "source": msgspec.to_builtins(source),
        "chain": str(link) if link is not None else None,
    }
