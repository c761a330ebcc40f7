"""The criteria of SPEC section 6 in their plainest form, from raw rows, to hold the drill's faults against.

Rates are plain shares, without the bets of the real verdict: a fault that these do not see is no fault.
"""

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_v6_dagster.config.ignore_rules import load_ignore_rules
from pipeline_v6_dagster.config.limits import load_configuration
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster.domain.verdict import CriterionState
from pipeline_v6_dagster.logs.verify import verify_logs
from pipeline_v6_dagster.stages.drill.criteria import CriterionReading
from pipeline_v6_dagster.stages.shadow.engines import load_engines

Row = dict[str, Any]
DAY_S = 86_400.0
OTHER = {"BUY": "SELL", "SELL": "BUY"}


def plain_criteria(settings: Settings, now: float) -> dict[str, CriterionReading]:
    """Whether each criterion holds in a home whose stages have run."""
    home = _Home(settings)
    states = {
        **_critical(home),
        **_evidence(home, settings, now),
        **_agreement(home),
        **_sufficiency(home),
    }
    readings = {
        name: CriterionReading(CriterionState.HOLDS if holds else CriterionState.BROKEN)
        for name, holds in states.items()
    }
    return readings | {"routes_agree": CriterionReading(CriterionState.HOLDS, counts_against=False)}


class _Order:
    """One order of an intent: what was ever asked for and executed."""

    def __init__(self, row: Row) -> None:
        self.first_ts = _ts(row)
        self.acked_ts: float | None = None
        self.requested: float | None = None
        self.executed = 0.0
        self.gross = 0.0
        self.status = ""
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)
        if row["event_type"] == "order_ack":
            self.acked_ts = _ts(row) if self.acked_ts is None else self.acked_ts
            self.requested = max(self.requested or 0.0, row.get("request_qty") or 0.0)
        elif (row.get("executedQty") or 0.0) >= self.executed:
            self.executed = row.get("executedQty") or 0.0
            self.gross = self.executed * (row.get("avgPrice") or 0.0)
        self.status = row.get("status") or self.status

    @property
    def is_reducing(self) -> bool:
        return any(row.get("reduceOnly") or str(row.get("attempt_id")).endswith("_reduce") for row in self.rows)

    @property
    def placed(self) -> float:
        ended_unfilled = self.status in ("CANCELED", "EXPIRED", "REJECTED")
        return self.executed if ended_unfilled else max(self.requested or 0.0, self.executed)


class _Home:
    """The raw rows of a home, by what they belong to."""

    def __init__(self, settings: Settings) -> None:
        self.malformed: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.attempts = {row["intent_id"]: row for row in self._rows(settings.order_attempts)}
        self.events = list(self._rows(settings.orders_executed))
        self.vetoes = list(self._rows(settings.risk_vetoes))
        self.others = list(self._rows(settings.order_metrics)) + list(self._rows(settings.position_state))
        self.positions = list(self._rows(settings.position_state))
        self.decisions = {row["intent_id"]: row for row in self._rows(settings.shadow_log) if "intent_id" in row}
        self.diffs = [row for row in self._rows(settings.compare_diffs) if "mismatch_kind" in row]
        self.summary: Row = json.loads(settings.compare_summary.read_bytes())
        self.orders: dict[str, list[_Order]] = defaultdict(list)
        self._fold()
        self.errors = {row["intent_id"] for row in self.events if _is(row, "order_error") and row.get("intent_id")}
        self.live_vetoes = {_veto_id(row): row["veto_reason"] for row in self.vetoes if _veto_id(row) in self.attempts}

    def _rows(self, path: Path) -> Iterable[Row]:
        if not path.exists():
            return
        for line in path.read_bytes().splitlines():
            self.lines[path.stem] += 1
            try:
                row = json.loads(line, parse_constant=_refuse)
            except ValueError:
                self.malformed[path.stem] += 1
                continue
            yield row

    def _fold(self) -> None:
        by_id: dict[tuple[str, str], _Order] = {}
        for row in self.events:
            intent_id, order_id = row.get("intent_id"), row.get("orderId")
            if not (_is(row, "order_ack") or _is(row, "order_fill")) or intent_id is None or order_id is None:
                continue
            order = by_id.get((intent_id, order_id))
            has_ended = order is not None and order.status in ("FILLED", "CANCELED")
            if order is None or (has_ended and _is(row, "order_ack")):
                order = by_id[intent_id, order_id] = _Order(row)
                self.orders[intent_id].append(order)
            order.add(row)

    def traded(self, intent_id: str) -> bool | None:
        """Whether live decided to trade; None where nobody knows."""
        if self.orders.get(intent_id) or intent_id in self.errors:
            return True
        return False if intent_id in self.live_vetoes else None

    def opening(self) -> Iterable[tuple[Row, list[_Order]]]:
        """Each opening attempt with the orders that opened."""
        for intent_id, orders in self.orders.items():
            attempt = self.attempts.get(intent_id)
            if attempt is not None and not attempt["reduce_only"]:
                yield attempt, [order for order in orders if not order.is_reducing]


def _critical(home: _Home) -> dict[str, bool]:
    broken: set[str] = set()
    for intent_id, orders in home.orders.items():
        attempt = home.attempts.get(intent_id)
        if attempt is None:
            broken |= {"orders_explained"} if _is_unexplained(home, orders[0]) else set()
            continue
        for row in (row for order in orders for row in order.rows):
            is_reducing = attempt["reduce_only"] or row.get("reduceOnly")
            is_long = (row["side"] == "BUY") != bool(is_reducing)
            broken |= {"same_side"} if row["side"] != attempt["side"] else set()
            broken |= {"same_symbol"} if row["symbol"] != attempt["symbol"] else set()
            is_wrong = row["positionSide"] != ("LONG" if is_long else "SHORT")
            broken |= {"same_position_side"} if is_wrong and row["side"] == attempt["side"] else set()
        if any(order.executed > 1.001 * (order.requested or order.executed) for order in orders):
            broken.add("no_overfills")
    for attempt, orders in home.opening():
        size = (home.decisions.get(attempt["intent_id"], {}).get("size_decision") or {}).get("qty")
        placed = sum(order.placed for order in orders)
        broken |= {"no_upsizes"} if placed > 1.001 * attempt["qty"] else set()
        asked = max((order.requested or 0.0 for order in orders), default=None)
        broken |= {"v6_not_larger"} if size and asked is not None and size > 1.05 * asked else set()
        nav = attempt.get("nav_snapshot") or {}
        is_flat = attempt["symbol"] not in nav.get("symbol_gross_usd", {}) and "gross_usd" in nav
        mislabelled = [order for order in home.orders[attempt["intent_id"]] if _is_mislabelled(order)]
        broken |= {"reduce_only_honest"} if is_flat and mislabelled else set()
    # No home of a drill's test has a rollout.
    broken |= {"within_rollout"} if any(row.get("placed_by") == "v6" for row in home.events) else set()
    names = ("same_side", "same_symbol", "same_position_side", "no_upsizes", "no_overfills", "v6_not_larger")
    return {name: name not in broken for name in (*names, "reduce_only_honest", "orders_explained", "within_rollout")}


def _is_mislabelled(order: _Order) -> bool:
    return any(row.get("reduceOnly") and not str(row["attempt_id"]).endswith("_reduce") for row in order.rows)


def _is_unexplained(home: _Home, order: _Order) -> bool:
    row = order.rows[0]
    return not any(veto["symbol"] == row["symbol"] and abs(_ts(veto) - order.first_ts) < 60 for veto in home.vetoes)


def _evidence(home: _Home, settings: Settings, now: float) -> dict[str, bool]:
    configuration = load_configuration(settings.risk_limits, settings.pairs_universe)
    engine = load_engines(settings, configuration.limits).version
    last = list(home.decisions.values())[-1]
    quality = home.summary["input_quality"].values()
    newest = [max(map(_ts, rows)) for rows in (home.attempts.values(), home.events, home.positions)]
    ignored = sum(diff["ignored_by"] is not None for diff in home.diffs)
    dropped = [
        row
        for row in home.events
        if row.get("executedQty") and not (_is(row, "order_fill") and row.get("orderId") is not None)
    ]
    known = [home.traded(intent_id) is not None for intent_id in home.attempts]
    by_ids = sum(intent_id in home.attempts for intent_id in home.orders)
    asked_usd = sum(row["qty"] * row["price_hint"] for name, row in home.attempts.items() if home.orders.get(name))
    filled_usd = sum(order.gross for name, orders in home.orders.items() if name in home.attempts for order in orders)
    rules = load_ignore_rules(settings.ignore_rules)
    return {
        "logs_intact": verify_logs(settings).is_whole and _is_summary_whole(settings, home),
        "inputs_whole": not any(one["is_offset_lost"] for one in quality)
        and not list(settings.orders_executed.parent.glob("*.lz4")),
        "inputs_usable": not dropped
        and all(home.malformed[name] <= 0.01 * count for name, count in home.lines.items()),
        "inputs_fresh": min(newest) > now - DAY_S and max(newest) < now + 60,
        "one_executor": _is_one_executor(home),
        "limits_understood": not configuration.unknown_keys,
        "epoch_is_current": (last["config_hash"], last["engine_version"]) == (configuration.limits.config_hash, engine),
        "gates_alive": _are_gates_alive(home),
        "coverage": sum(known) >= 0.95 * len(known) and by_ids >= 0.5 * len(home.attempts),
        "fills": filled_usd >= 0.5 * asked_usd,
        "little_ignored": ignored <= 0.01 * len(home.diffs)
        and all(rule.expires_ts < now + 90 * DAY_S for rule in rules),
    }


def _is_summary_whole(settings: Settings, home: _Home) -> bool:
    last = json.loads(settings.compare_diffs.read_bytes().splitlines()[-1])
    return all(last["summary"].get(name) == home.summary.get(name) for name in last["summary"])


def _is_one_executor(home: _Home) -> bool:
    ackers: dict[Any, set[Any]] = defaultdict(set)
    returns: list[float] = []
    seen: list[Any] = []
    for row in home.events:
        process = row["hostname"], row["pid"]
        if _is(row, "order_ack"):
            ackers[row.get("orderId")].add(process)
        if seen and process != seen[-1] and process in seen:
            returns.append(_ts(row))
        if not seen or process != seen[-1]:
            seen = [*seen[-20:], process]
    most = max((bisect_left(returns, ts + 3600) - number for number, ts in enumerate(returns)), default=0)
    return all(len(processes) == 1 for processes in ackers.values()) and most <= 20


def _are_gates_alive(home: _Home) -> bool:
    newest = list(home.attempts)[-200:]
    reasons = Counter(home.live_vetoes.get(intent_id) for intent_id in newest)
    shadow_vetoes = sum(
        not home.decisions[name]["risk_decision"]["allowed"] for name in newest if name in home.decisions
    )
    navs = [(row.get("nav_snapshot") or {}).get("nav_usd") for row in home.attempts.values()]
    is_stuck = any(count >= 0.95 * len(newest) for reason, count in reasons.items() if reason is not None)
    return not is_stuck and shadow_vetoes < 0.95 * len(newest) and None not in navs and len(set(navs)) > 1


def _agreement(home: _Home) -> dict[str, bool]:
    outcomes: list[tuple[Row, bool, bool]] = []
    for intent_id, attempt in home.attempts.items():
        decision, traded = home.decisions.get(intent_id), home.traded(intent_id)
        if decision is None:
            continue
        repeated = f"{intent_id}_again" in home.orders
        if traded is not None or repeated:
            outcomes.append((attempt, decision["risk_decision"]["allowed"], bool(traded) or repeated))
    slices: dict[Any, list[bool]] = defaultdict(list)
    for attempt, allowed, traded in outcomes:
        for name in (attempt["symbol"], attempt["side"], attempt["reduce_only"], f"allowed {allowed}"):
            slices[name].append(allowed != traded)
    wrong = [allowed != traded for _, allowed, traded in outcomes]
    delays = [
        orders[0].first_ts - _ts(home.attempts[name]) for name, orders in home.orders.items() if name in home.attempts
    ]
    sizes, added, gross = [], 0.0, 0.0
    for attempt, orders in home.opening():
        placed = sum(order.placed for order in orders)
        sizes.append(abs(placed - attempt["qty"]) / attempt["qty"] > 0.05)
        added += max(attempt["qty"] - placed, 0.0) * attempt["price_hint"]
        gross += placed * attempt["price_hint"]
    slips = [abs(diff["slippage_diff_bps"]) for diff in home.diffs if diff["slippage_diff_bps"] is not None]
    return {
        "decisions_agree": _share(wrong) <= 0.05,
        "still_agrees": _share(wrong[-500:]) <= 0.05,
        "every_slice_agrees": all(_share(one) <= 0.05 for one in slices.values() if len(one) >= 20),
        "sizes_agree": bool(sizes) and _share(sizes) <= 0.05,
        "slippage_as_expected": bool(slips and np.median(slips) <= 3 and np.quantile(slips, 0.95) <= 10),
        "orders_prompt": bool(delays) and np.quantile(delays, 0.95) <= 60,
        "exposure_added": added <= 0.02 * gross,
    }


def _sufficiency(home: _Home) -> dict[str, bool]:
    decided = [row["timestamp"] for row in home.decisions.values()]
    current = [row["timestamp"] for row in home.decisions.values() if row["config_hash"] == home.summary["config_hash"]]
    executed = Counter(
        home.attempts[name]["symbol"]
        for name, orders in home.orders.items()
        if name in home.attempts and any(order.executed for order in orders)
    )
    days = (max(current) - min(current)) / DAY_S
    return {
        "long_enough": days >= 14 and len({ts // DAY_S for ts in decided}) >= 0.7 * days,
        "orders_enough": executed.total() >= 200,
        "symbols_covered": all(executed[row["symbol"]] >= 20 for row in home.attempts.values()),
    }


def _share(outcomes: list[bool]) -> float:
    """The share that is true; 1 of none, since nothing was measured."""
    return sum(outcomes) / len(outcomes) if outcomes else 1.0


def _is(row: Row, event_type: str) -> bool:
    return row.get("event_type") == event_type


def _veto_id(row: Row) -> str | None:
    intent = row.get("veto_detail", {}).get("intent") or {}
    found = row.get("intent_id") or intent.get("intent_id")
    return found if isinstance(found, str) else None


def _ts(row: Row) -> float:
    ts = row.get("ts")
    return datetime.fromisoformat(ts).timestamp() if isinstance(ts, str) else float(ts or 0.0)


def _refuse(name: str) -> None:
    raise ValueError(name)
