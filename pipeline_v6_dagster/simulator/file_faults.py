"""What may happen to the files of a home: inputs, configuration, our own outputs. Pure: contents in, contents out.

A file is named by its path in a home with the default layout. Each function returns the files that it changes, None
for one that is removed. The table is `simulator.fault_table`.
"""

import gzip
import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pipeline_v6_dagster.simulator.log_rows import ATTEMPTS, ORDERS, POSITIONS, VETOES

Files = Mapping[str, bytes]
Changes = Mapping[str, bytes | None]
FilesFault = Callable[[Files, random.Random, float], Changes]

RISK_LIMITS, IGNORE_RULES = "config/risk_limits.json", "config/compare_ignore.json"
SHADOW_LOG, COMPARE_LOG = "logs/pipeline_v6_shadow.jsonl", "logs/pipeline_v6_compare.jsonl"
ALERT_LOG = "logs/pipeline_v6_alerts.jsonl"
ROLLOUT_LOG, ROLLOUT_STATE = "logs/pipeline_v6_rollout", "logs/state/pipeline_v6_rollout.json"
SUMMARY = "logs/state/pipeline_v6_compare_summary.json"
_GARBAGE = b"Traceback (most recent call last):\n"
_NOT_FINITE = b'{"event_type": "order_fill", "symbol": "BTCUSDT", "orderId": 1, "executedQty": NaN}\n'
_EDITED = ("max_trade_nav_pct", "max_order_notional", "max_leverage", "max_notional_usd", "max_gross_nav_pct")


def input_path(log: str) -> str:
    """Where an executor's log of that name stands in a home."""
    return f"logs/execution/{log}.jsonl"


# Inputs.


def spoil_lines(share: float, *, is_json: bool) -> FilesFault:
    """A share of the order log's lines are no rows, or rows with a number that is none."""

    def change(files: Files, rng: random.Random, _: float) -> Changes:
        path = input_path(ORDERS)
        bad = _NOT_FINITE if is_json else _GARBAGE
        lines = files[path].splitlines(keepends=True)
        return {path: b"".join(line if rng.random() >= share else bad for line in lines)}

    return change


def truncate_input(files: Files, rng: random.Random, now: float) -> Changes:
    """The order log lost its newer half."""
    path = input_path(ORDERS)
    lines = files[path].splitlines(keepends=True)
    return {path: b"".join(lines[: len(lines) // 2])}


def truncate_attempts(files: Files, rng: random.Random, now: float) -> Changes:
    """The log of attempts lost its newer half."""
    path = input_path(ATTEMPTS)
    lines = files[path].splitlines(keepends=True)
    return {path: b"".join(lines[: len(lines) // 2])}


def edit_input(files: Files, rng: random.Random, now: float) -> Changes:
    """A quantity in the newest rows of the order log was changed in place, so that the file kept its size."""
    path = input_path(ORDERS)
    *_, found = re.finditer(rb'"(?:request_qty|executedQty|qty)": ?"?([1-9])', files[path])
    digit = b"2" if found[1] == b"1" else b"1"
    return {path: files[path][: found.start(1)] + digit + files[path][found.end(1) :]}


def damage_rotation(files: Files, rng: random.Random, now: float) -> Changes:
    """The older half of the order log was rotated and compressed, and its end was cut off."""
    path = input_path(ORDERS)
    lines = files[path].splitlines(keepends=True)
    packed = gzip.compress(b"".join(lines[: len(lines) // 2]), mtime=0)
    rotated = path.removesuffix(".jsonl") + ".1.jsonl.gz"
    return {rotated: packed[: len(packed) // 2], path: b"".join(lines[len(lines) // 2 :])}


def replace_input(files: Files, rng: random.Random, now: float) -> Changes:
    """The order log was replaced by its own newest lines, its past gone."""
    path = input_path(ORDERS)
    lines = files[path].splitlines(keepends=True)
    return {path: b"".join(lines[-len(lines) // 20 :])}


def remove_input(files: Files, rng: random.Random, now: float) -> Changes:
    """The order log is gone."""
    return {input_path(ORDERS): None}


def lose_vetoes(files: Files, rng: random.Random, now: float) -> Changes:
    """Only the newest tenth of the veto log is left, so that nobody knows what became of most denied attempts."""
    path = input_path(VETOES)
    lines = files.get(path, b"").splitlines(keepends=True)
    return {path: b"".join(lines[len(lines) - len(lines) // 10 :])}


def lose_unread(files: Files, rng: random.Random, now: float) -> Changes:
    """What had not been read was lost in a rotation: only the newest tenth of the order log is left."""
    path = input_path(ORDERS)
    lines = files[path].splitlines(keepends=True)
    return {path: b"".join(lines[-len(lines) // 10 :])}


def add_unreadable_rotation(files: Files, rng: random.Random, now: float) -> Changes:
    """A rotation of the order log stands beside it in a form that cannot be read."""
    return {f"{input_path(ORDERS)}.1.lz4": b"\x04\x22\x4d\x18" + rng.randbytes(200)}


def stop_positions(files: Files, rng: random.Random, now: float) -> Changes:
    """Position snapshots ended days ago."""
    path = input_path(POSITIONS)
    lines = files.get(path, b"").splitlines(keepends=True)
    return {path: b"".join(lines[: len(lines) // 2])}


# Configuration.


def add_unread_key(files: Files, rng: random.Random, now: float) -> Changes:
    """The limits hold a key that nobody knows."""
    limits = _object(files[RISK_LIMITS])
    return {RISK_LIMITS: msgspec.json.encode({**limits, "max_oder_notionl": 10_000.0})}


def edit_limits(files: Files, rng: random.Random, now: float) -> Changes:
    """A limit was made a little wider."""
    limits = _object(files[RISK_LIMITS])
    part = limits.get("global")
    place: dict[str, Any] = part if isinstance(part, dict) else limits
    name = next((name for name in _EDITED if isinstance(place.get(name), int | float)), _EDITED[0])
    # Small steps, so that no edit equals an earlier one and nothing else is decided.
    place[name] = float(place.get(name) or 0.5) * (1.001 + rng.random() / 1000)
    return {RISK_LIMITS: msgspec.json.encode(limits)}


def ignore_buying(files: Files, rng: random.Random, now: float) -> Changes:
    """An ignore rule hides all that is bought."""
    return {IGNORE_RULES: _rules(now, 30, side="BUY")}


def ignore_for_ever(files: Files, rng: random.Random, now: float) -> Changes:
    """An ignore rule that hides little holds for years."""
    return {IGNORE_RULES: _rules(now, 3000, intent_id="no-such-intent")}


# Our own outputs.


def lose_rollout(files: Files, rng: random.Random, now: float) -> Changes:
    """No rollout was ever begun: there is neither a history nor a state file of one."""
    return {name: None for name in files if name.startswith((ROLLOUT_LOG, ROLLOUT_STATE))}


def edit_summary(files: Files, rng: random.Random, now: float) -> Changes:
    """The summary says PASS, whatever was found."""
    summary = _object(files[SUMMARY])
    summary |= {"verdict": "PASS", "status": "green", "sample_size": summary.get("sample_size", 0) + 1}
    return {SUMMARY: msgspec.json.encode(summary)}


def remove_records(files: Files, rng: random.Random, now: float) -> Changes:
    """The alert log, which records where epochs began, is gone."""
    return {ALERT_LOG: None}


def edit_log(path: str) -> FilesFault:
    """One line of a log of ours was changed."""

    def change(files: Files, rng: random.Random, _: float) -> Changes:
        lines = files[path].splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if b'"symbol":"' in line]
        place = rng.choice(places)
        lines[place] = lines[place].replace(b'"symbol":"', b'"symbol":"X', 1)
        return {path: b"".join(lines)}

    return change


def _object(content: bytes) -> dict[str, Any]:
    return msgspec.json.decode(content, type=dict[str, Any])


def _rules(now: float, days: int, **names: str) -> bytes:
    expires = (datetime.fromtimestamp(now, UTC) + timedelta(days=days)).date().isoformat()
    rule = {"name": "drill", "owner": "drill", "reason": "a drill", "expires": expires, **names}
    return msgspec.json.encode({"rules": [rule]})
