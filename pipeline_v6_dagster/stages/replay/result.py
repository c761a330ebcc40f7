"""The flips of a replay by rule and by symbol, and the whole answer as plain data."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from pipeline_v6_dagster.domain.comparison import LiveOutcome
from pipeline_v6_dagster.stages.replay.run import Replay

_DOLLARS = ("executed_gross_usd", "fees_usd", "slippage_usd", "profit_usd")


def flips_by(flips: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Flips (as plain data) by `rules` (a flip counts under each of its rules) or by `symbol`, the most frequent first.

    Dollars are those of the live orders behind the flips; a sum of nothing that was measured is None.
    """
    rows: dict[str, dict[str, Any]] = {}
    for flip in flips:
        for key in (flip["rules"] or ("none",)) if name == "rules" else (flip[name],):
            row = rows.get(key)
            if row is None:
                row = rows[key] = {name: key, **dict.fromkeys(_DOLLARS), "stopped": 0, "let_through": 0}
            row["stopped" if flip["is_stopped"] else "let_through"] += 1
            for column in _DOLLARS:
                if flip[column] is not None:
                    row[column] = (row[column] or 0.0) + flip[column]
    return sorted(rows.values(), key=lambda row: (-row["stopped"] - row["let_through"], row[name]))


def as_data(answer: Replay) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    dollars = answer.dollars
    flips: list[dict[str, Any]] = msgspec.to_builtins(answer.flips)
    not_placed = [flip for flip in flips if flip["is_stopped"] and flip["live_outcome"] == LiveOutcome.EXECUTED]
    stopped = sum(flip.is_stopped for flip in answer.flips)
    return {
        "config_dir": str(answer.config_dir),
        "from_ts": answer.from_ts,
        "to_ts": answer.to_ts,
        "decisions": answer.decisions,
        "not_replayed": answer.not_replayed,
        "then": asdict(answer.then) if answer.then is not None else None,
        "now": asdict(answer.now),
        "flips": {
            "stopped": stopped,
            "let_through": len(flips) - stopped,
            "by_rule": flips_by(flips, "rules"),
            "by_symbol": flips_by(flips, "symbol"),
        },
        "not_placed": {"orders": len(not_placed), **earned(not_placed)},
        "dollars": {
            "then": dollars.then.as_data(),
            "now": dollars.now.as_data(),
            "change": dollars.change,
            "allowed_unexecuted": {"then": dollars.allowed_unexecuted[0], "now": dollars.allowed_unexecuted[1]},
        },
        "orders_not_placed": not_placed,
    }


def earned(flips: Sequence[dict[str, Any]]) -> dict[str, float | int | None]:
    """What the orders behind flips earned and lost, before fees; and of how many that could not be determined.

    None if it could be determined for none of them; without any order both are 0.
    """
    known = [flip["profit_usd"] for flip in flips if flip["profit_usd"] is not None]
    is_measured = bool(known) or not flips
    return {
        "earned_usd": sum(value for value in known if value > 0) if is_measured else None,
        "lost_usd": -sum(value for value in known if value < 0) if is_measured else None,
        "without_profit": len(flips) - len(known),
    }
