"""The comparison a second time, as plainly as it can be written: whole logs in lists, no cursor, no index, no clock.

It shares no code with the package. It knows nothing of when a decision is settled, so what it gives is the newest state
of each decision, once everything is logged. Time pairs come from one alignment of a whole stream.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from math import ceil, inf
from typing import Any

Row = dict[str, Any]
ENDED = {"FILLED", "CANCELED", "CANCELLED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"}
GROSS = ("notional", "gross", "quote_notional", "notional_usd", "gross_usd")
SIDES = {"BUY": "BUY", "LONG": "BUY", "SELL": "SELL", "SHORT": "SELL"}


def read_rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """The lines that are JSON objects."""
    for line in lines:
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def plain_compare(
    shadow_lines: Iterable[bytes],
    order_lines: Iterable[bytes],
    veto_lines: Iterable[bytes],
    *,
    tolerance_s: float = 900.0,
    lead_s: float = 2.0,
    upsize_tolerance: float = 0.001,
    lot_steps: dict[str, float],
) -> tuple[dict[str, Row], list[Row]]:
    """(what became of each decision by its id, the orders that no decision explains)."""
    decisions = [row for row in read_rows(shadow_lines) if not row.get("heartbeat") and row.get("risk_decision")]
    events = sorted(filter(None, map(_event, read_rows(order_lines))), key=lambda event: event["ts"])
    vetoes = sorted(filter(None, map(_veto, read_rows(veto_lines))), key=lambda veto: veto["ts"])
    orders = _orders([event for event in events if event["kind"] != "order_error"])
    errors = [event for event in events if event["kind"] == "order_error"]
    found: dict[str, Row] = {row["decision_id"]: {"decision": row, "order": None, "row": None} for row in decisions}

    for kind, live in (("order", orders), ("row", vetoes), ("row", errors)):
        for one in live:
            owner = _named(one, found)
            if owner is not None and owner[kind] is None:
                owner[kind] = one
                owner["method"] = "intent_id" if one["intent"] == _intent(owner["decision"]) else "attempt_id"
                one["is_taken"] = True

    refusals = sorted([*vetoes, *errors], key=lambda one: one["ts"])
    _pair_by_time("order", orders, list(found.values()), tolerance_s, lead_s)
    _pair_by_time("row", refusals, list(found.values()), tolerance_s, lead_s)

    filters: dict[str, float] = {}
    for event in events:  # The engine knows a filter from the first row on; so early a decision none of these logs has.
        if event["lot"] is not None and event["symbol"] is not None:
            filters[event["symbol"]] = event["lot"]
    for one in found.values():
        one |= _difference(one, lot_steps, filters, upsize_tolerance)
    return found, [order for order in orders if not order.get("is_taken")]


def _event(row: Row) -> Row | None:
    raw = row.get("raw") if isinstance(row.get("raw"), dict) else {}
    kind = row.get("event_type") or row.get("event")
    gross = next((abs(row[name]) for name in GROSS if row.get(name) is not None), None)
    if kind not in ("order_ack", "order_fill", "order_error"):
        if kind == "order_close" or not gross:
            return None
        kind = "flat"
    status = row.get("status") or raw.get("status")
    if row.get("dry_run") is True or raw.get("dryRun") is True or status == "DRY" or row.get("reason") == "dry_run":
        return None
    ts = _time(row.get("ts") or row.get("local_ts"))
    attempt = row.get("attempt_id") or None
    names = (row.get("orderId"), row.get("order_id"), raw.get("orderId"), row.get("clientOrderId"),
             row.get("client_order_id"), row.get("request_id"))  # fmt: skip
    order_id = next((str(name) for name in names if name not in (None, "")), f"{kind}@{ts!r}")
    is_reduce = next((flag for flag in (row.get("reduceOnly"), row.get("reduce_only"), raw.get("reduceOnly"))
                      if flag is not None), bool(attempt) and attempt.endswith("_reduce"))  # fmt: skip
    asked = row.get("request_qty") or float(raw.get("origQty") or 0) or row.get("rounded_qty") or row.get("qty")
    lot = ((row.get("exchange_filters_used") or {}).get("LOT_SIZE") or {}).get("stepSize")
    event = {
        "kind": kind,
        "ts": ts,
        "symbol": row.get("symbol") or raw.get("symbol"),
        "side": SIDES.get((row.get("side") or raw.get("side") or "").upper()),
        "intent": row.get("intent_id") or None,
        "attempt": attempt and attempt.removesuffix("_reduce"),
        "order_id": order_id,
        "is_reduce": str(is_reduce).lower() == "true" or bool(attempt and attempt.endswith("_reduce")),
        "asked": (row.get("qty") if kind == "flat" else asked) or None,
        "filled": row.get("executedQty") or None,
        "price": (row.get("price") if kind == "flat" else row.get("avgPrice")) or None,
        "fees": row.get("fee_total") if row.get("feeAsset", "USDT") in ("USD", "USDT", "USDC") else None,
        "gross": gross if kind == "flat" else None,
        "status": "REJECTED" if row.get("accepted") is False else status or ("FILLED" if kind == "flat" else None),
        "reason": str(row.get("exc") or row.get("reason") or "order_error").split("(", 1)[0][:80],
        "lot": float(lot) if lot else None,
    }
    is_known = ts is not None and (event["symbol"] or event["intent"] or event["attempt"])
    return event if is_known else None


def _veto(row: Row) -> Row | None:
    if row.get("event_type", "risk_veto") != "risk_veto":
        return None
    detail = row.get("veto_detail") if isinstance(row.get("veto_detail"), dict) else {}
    intent = detail.get("intent") if isinstance(detail.get("intent"), dict) else {}
    side = row.get("side") or intent.get("signal") or ""
    ts = _time(row.get("ts"))
    if ts is None:
        return None
    return {
        "ts": ts,
        "symbol": row.get("symbol"),
        "side": SIDES.get(side.upper()),
        "intent": row.get("intent_id") or intent.get("intent_id") or None,
        "attempt": row.get("attempt_id") or intent.get("attempt_id") or None,
        "reason": row.get("veto_reason") or row.get("reason") or "unknown",
        "kind": "veto",
    }


def _orders(events: list[Row]) -> list[Row]:
    """Fold by order id within an intent, else an attempt, else symbol and side."""
    groups: dict[tuple[Any, ...], Row] = {}
    for event in events:
        if event["intent"] is not None:
            key: tuple[Any, ...] = ("intent", event["intent"])
        elif event["attempt"] is not None:
            key = ("attempt", event["attempt"])
        else:
            key = ("order", event["symbol"], event["side"], event["order_id"])
        group = groups.setdefault(key, {"intent": event["intent"], "attempt": event["attempt"], "legs": {}})
        for name in ("symbol", "side"):
            group[name] = group.get(name) or event[name]
        group["ts"] = min(group.get("ts", event["ts"]), event["ts"])
        leg = group["legs"].setdefault(event["order_id"], {"asked": None, "filled": None, "price": None, "fees": None,
                                                           "gross": None, "status": None, "is_reduce": False,
                                                           "lot": None, "first_ts": event["ts"]})  # fmt: skip
        leg["last_ts"] = max(leg.get("last_ts", event["ts"]), event["ts"])
        leg["is_reduce"] |= event["is_reduce"]
        leg["lot"] = leg["lot"] or event["lot"]
        if event["kind"] == "order_fill":
            if (event["filled"] or 0) >= (leg["filled"] or 0) and event["filled"]:
                leg["filled"] = event["filled"]
                leg["price"] = event["price"] or leg["price"]
                leg["fees"] = event["fees"] if event["fees"] is not None else leg["fees"]
        else:
            leg["asked"] = max((qty for qty in (event["asked"], leg["asked"]) if qty is not None), default=None)
        if event["kind"] == "flat":
            leg["gross"] = event["gross"]
            leg |= {"filled": event["asked"], "price": event["price"]} if event["status"] == "FILLED" else {}
        is_over = (leg["status"] == "FILLED" and leg["filled"]) or leg["status"] in ENDED - {"FILLED"}
        if event["status"] and not (is_over and event["status"] in ("NEW", "PARTIALLY_FILLED")):
            leg["status"] = event["status"]
    return sorted(groups.values(), key=lambda group: group["ts"])


def _named(one: Row, found: dict[str, Row]) -> Row | None:
    """The decision that ids name: of its intent and attempt, of its intent, of its attempt."""
    same_intent = [row for row in found.values() if one["intent"] and _intent(row["decision"]) == one["intent"]]
    for row in same_intent:
        if one["attempt"] and row["decision"].get("attempt_id") == one["attempt"]:
            return row
    if same_intent:
        return same_intent[-1]
    same_attempt = [
        row for row in found.values() if one["attempt"] and row["decision"].get("attempt_id") == one["attempt"]
    ]
    return same_attempt[-1] if same_attempt else None


def _intent(decision: Row) -> str | None:
    return decision.get("intent_id") or decision["intent"].get("intent_id")


def _pair_by_time(kind: str, live: list[Row], found: list[Row], tolerance_s: float, lead_s: float) -> None:
    """One alignment of what no id has paired, over the whole history: orders per stream, refusals per symbol."""
    by_id = {one["decision"]["decision_id"]: one for one in found}
    streams: dict[tuple[Any, ...], list[Row]] = {}
    for one in found:
        if one["order"] is None and one["row"] is None:
            stream = _stream(one["decision"])
            streams.setdefault(stream if kind == "order" else stream[:1], []).append(one)
    for stream, waiting in streams.items():
        waiting.sort(key=lambda one: one["decision"]["timestamp"])
        free = [
            one
            for one in live
            if not one.get("is_taken") and _named(one, by_id) is None
            if one["symbol"] == stream[0]
            if kind == "row" or (one["side"], all(leg["is_reduce"] for leg in one["legs"].values())) == stream[1:]
        ]

        def may(i: int, j: int, waiting: list[Row] = waiting, free: list[Row] = free) -> bool:
            made = waiting[i]["decision"]
            gap = free[j]["ts"] - made["timestamp"]
            has_other_id = (free[j]["intent"] and _intent(made)) or (free[j]["attempt"] and made.get("attempt_id"))
            return (
                not has_other_id
                and -lead_s <= gap <= tolerance_s
                and free[j]["side"] in (None, _stream(waiting[i]["decision"])[1])
            )

        times = [one["decision"]["timestamp"] for one in waiting]
        for i, j in align(times, [one["ts"] for one in free], may):
            waiting[i][kind], waiting[i]["method"] = free[j], "time"
            free[j]["is_taken"] = True


def align(decisions: list[float], orders: list[float], may: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """The most pairs and then the least total gap, by the whole table, filled from the front."""
    table = [[(0, 0.0)] * (len(orders) + 1) for _ in range(len(decisions) + 1)]
    for i, decision in enumerate(decisions):
        for j, order in enumerate(orders):
            best = max(table[i][j + 1], table[i + 1][j])
            if may(i, j):
                pairs, less_gap = table[i][j]
                best = max(best, (pairs + 1, less_gap - abs(order - decision)))
            table[i + 1][j + 1] = best
    pairs_found = []
    i, j = len(decisions), len(orders)
    while i and j:
        if table[i][j] == table[i - 1][j]:
            i -= 1
        elif table[i][j] == table[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs_found.append((i, j))
    return pairs_found


def _stream(decision: Row) -> tuple[Any, ...]:
    intent = decision["intent"]
    return decision["symbol"], SIDES.get((intent.get("side") or "").upper()), intent.get("reduce_only") is True


def _difference(one: Row, lot_steps: dict[str, float], filters: dict[str, float], tolerance: float) -> Row:
    decision, order, row = one["decision"], one["order"], one["row"]
    intent, size = decision["intent"], decision.get("size_decision") or {}
    allowed, price = decision["risk_decision"]["allowed"], intent.get("price")
    legs = list(order["legs"].values()) if order else []
    is_refused = bool(legs) and all(leg["status"] == "REJECTED" and not leg["filled"] for leg in legs)
    is_executed = bool(legs) and not is_refused
    own = [leg for leg in legs if intent.get("reduce_only") is True or not leg["is_reduce"]]
    put_on = [_put_on_market(leg) for leg in own]
    asked = None if not own or None in put_on else sum(put_on)
    filled = None
    if any(leg["filled"] is not None for leg in own):
        filled = sum(leg["filled"] or 0 for leg in own)
    elif own and all(leg["status"] in ENDED - {"FILLED"} for leg in own):
        filled = 0.0
    paid = [(leg["filled"], leg["price"]) for leg in own if leg["filled"] and leg["price"]]
    average = sum(qty * px for qty, px in paid) / sum(qty for qty, _ in paid) if paid else None
    worth = [qty * price if qty is not None and price else leg["gross"] for qty, leg in zip(put_on, own, strict=True)]
    gross = None if not own or None in worth else sum(worth)
    shadow = (
        size.get("gross_usd") or (decision.get("sizing") or {}).get("sized_gross_usd") or intent.get("quote_notional")
    )
    sizing = (gross - shadow) / shadow if gross is not None and shadow and is_executed else None
    expected = (decision.get("router_decision") or {}).get("expected_slippage_bps")
    sign = {"BUY": 1, "SELL": -1}.get(SIDES.get((intent.get("side") or "").upper(), ""))
    slippage = None
    if average is not None and price and sign and expected is not None:
        slippage = sign * (average - price) / price * 1e4 - expected
    lot = lot_steps.get(decision["symbol"]) or next((leg["lot"] for leg in legs if leg["lot"]), None)
    lot = lot or filters.get(decision["symbol"])
    upsize = None
    if sizing is not None:
        upsize = sizing > tolerance and (not lot or not price or _is_above_lot(decision, gross / price, lot))
    if is_executed:
        outcome = "executed"
    elif is_refused:
        outcome = "error"
    else:
        outcome = "unresolved" if row is None else "vetoed" if row["kind"] == "veto" else "error"
    kinds = {(True, True): "match", (True, False): "shadow_allowed_live_absent",
             (False, True): "shadow_vetoed_live_executed", (False, False): "match_veto"}  # fmt: skip
    side = SIDES.get((intent.get("side") or "").upper())
    kind = "live_unknown" if outcome == "unresolved" else kinds[allowed, outcome != "vetoed"]
    live = order or (row if outcome == "error" else None)
    if live and side and live["side"] not in (None, side):
        kind = "opposite_side"
    if live and live["symbol"] not in (None, decision["symbol"]):
        kind = "wrong_symbol"
    is_match = kind in ("match", "match_veto")
    return {
        "live_outcome": outcome,
        "match_method": one.get("method"),
        "mismatch_kind": kind,
        "veto_mismatch": None if kind == "live_unknown" else not is_match,
        "is_overfill": _is_overfilled(legs, tolerance),
        "is_downsize": _is_downsized(size.get("qty"), own, price, lot) if allowed and is_executed else None,
        "order_ids": sorted(order["legs"]) if order else [],
        "requested_qty": asked,
        "executed_qty": filled,
        "avg_price": average,
        "size_pct_diff": 100 * (filled - size["qty"]) / size["qty"]
        if filled is not None and size.get("qty") and is_executed
        else None,
        "sizing_diff_pct": sizing,
        "slippage_diff_bps": slippage,
        "is_upsize": upsize,
        "impact_usd": None
        if (is_executed and gross is None) or (allowed and shadow is None) or outcome == "unresolved"
        else (gross if is_executed else 0.0) - (shadow if allowed else 0.0),
    }


def _put_on_market(leg: Row) -> float | None:
    if leg["status"] in ENDED - {"FILLED"}:
        return leg["filled"] or 0.0
    return max((qty for qty in (leg["asked"], leg["filled"]) if qty is not None), default=None)


def _is_above_lot(decision: Row, qty: float, lot: float) -> bool:
    """Whether a quantity is above what v6 would order before rounding, rounded up to whole lots."""
    intent, size = decision["intent"], decision.get("size_decision") or {}
    asked = min(intent.get("qty") or inf, (intent.get("quote_notional") or inf) / intent["price"])
    most = ceil(asked / lot - 1e-6) * lot if asked < inf else inf
    if size.get("qty"):
        most = min(most, size["qty"] + lot)
    return qty > max(most, 0) * (1 + 1e-9)


def _is_overfilled(legs: list[Row], tolerance: float) -> bool | None:
    filled = [leg for leg in legs if leg["filled"] is not None]
    return any(leg["asked"] and leg["filled"] > leg["asked"] * (1 + tolerance) for leg in filled) if filled else None


def _is_downsized(v6: float | None, own: list[Row], price: float | None, lot: float | None) -> bool | None:
    """v6 above the most that live had on the market when any of its orders began."""
    if v6 is None or not own:
        return None
    most = 0.0
    for newest in own:
        total = 0.0
        for leg in own:
            has_ended = leg["status"] in ENDED - {"FILLED"} and leg["last_ts"] <= newest["first_ts"]
            qty = max((one for one in (leg["asked"], leg["filled"]) if one is not None), default=None)
            if leg is not newest and has_ended:
                qty = leg["filled"] or 0.0
            if qty is None and leg["gross"] and price:
                qty = leg["gross"] / price
            if qty is None:
                return None
            total += qty if leg["first_ts"] <= newest["first_ts"] else 0.0
        most = max(most, total)
    return v6 - most > max(0.05 * most, lot or 0.0) * (1 + 1e-9)


def _time(value: Any) -> float | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return value
