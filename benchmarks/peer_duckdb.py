"""The comparison as a DuckDB script: the same logs in, joined by intent, the same columns out as JSON lines.

Written as one would write it for a report: no settlement, no revisions, no pairing without ids, no cursor.
Usage: peer_duckdb.py LOGS_FOLDER OUTPUT
"""

import sys
from pathlib import Path

import duckdb

logs, output = Path(sys.argv[1]), sys.argv[2]


def read(pattern: str, columns: str) -> str:
    """A table function over every file of a log, plain or compressed."""
    files = sorted(str(path) for path in logs.glob(pattern))
    return f"read_json({files!r}, format='newline_delimited', ignore_errors=true, columns={{{columns}}})"


shadow = read(
    "pipeline_v6_shadow*.jsonl*",
    "decision_id: 'VARCHAR', symbol: 'VARCHAR', intent_id: 'VARCHAR', attempt_id: 'VARCHAR', timestamp: 'DOUBLE',"
    " config_hash: 'VARCHAR',"
    " intent: 'STRUCT(side VARCHAR, price DOUBLE, quote_notional DOUBLE, reduce_only BOOLEAN, tier_name VARCHAR)',"
    " risk_decision: 'STRUCT(allowed BOOLEAN, reasons VARCHAR[])',"
    " size_decision: 'STRUCT(gross_usd DOUBLE, qty DOUBLE)',"
    " router_decision: 'STRUCT(expected_slippage_bps DOUBLE, route VARCHAR)'",
)
orders = read(
    "execution/orders_executed*.jsonl",
    "event_type: 'VARCHAR', ts: 'TIMESTAMPTZ', intent_id: 'VARCHAR', attempt_id: 'VARCHAR', orderId: 'VARCHAR',"
    " request_qty: 'DOUBLE', executedQty: 'DOUBLE', avgPrice: 'DOUBLE', fee_total: 'DOUBLE', status: 'VARCHAR',"
    " reduceOnly: 'BOOLEAN', order_type: 'VARCHAR', reason: 'VARCHAR', exc: 'VARCHAR'",
)
vetoes = read(
    "execution/risk_vetoes*.jsonl",
    "ts: 'TIMESTAMPTZ', veto_reason: 'VARCHAR', veto_detail: 'STRUCT(intent STRUCT(intent_id VARCHAR))'",
)
metrics = read(
    "execution/order_metrics*.jsonl",
    "event: 'VARCHAR', ts: 'DOUBLE', intent_id: 'VARCHAR', prices: 'STRUCT(mark DOUBLE, submitted DOUBLE)'",
)
universe = f"read_json('{logs.parent / 'config' / 'pairs_universe.json'}')"

# S608: the only text put in are the file names found above.
duckdb.sql(
    f"""
COPY (
WITH shadow AS (SELECT *, upper(intent.side) AS side FROM {shadow}),
events AS (
    SELECT *, epoch(ts) AS log_ts, coalesce(reduceOnly, false) OR attempt_id LIKE '%\\_reduce' ESCAPE '\\' AS is_reduce
    FROM {orders} WHERE event_type IN ('order_ack', 'order_fill')
),
legs AS (
    SELECT intent_id, orderId, bool_or(is_reduce) AS is_reduce,
        max(request_qty) AS requested_qty,
        arg_max(executedQty, log_ts) FILTER (event_type = 'order_fill') AS executed_qty,
        arg_max(avgPrice, log_ts) FILTER (event_type = 'order_fill') AS avg_price,
        arg_max(fee_total, log_ts) FILTER (event_type = 'order_fill') AS fees_usd,
        arg_max(status, log_ts) AS status,
        any_value(CASE WHEN order_type IN ('LIMIT', 'LIMIT_MAKER', 'POST_ONLY') THEN 'maker'
            WHEN order_type LIKE '%MARKET' THEN 'taker' END) AS route,
        min(log_ts) AS first_ts, max(log_ts) AS last_ts,
        min(log_ts) FILTER (event_type = 'order_ack') AS first_ack_ts,
        max(log_ts) FILTER (event_type = 'order_fill') AS last_fill_ts
    FROM events WHERE intent_id IS NOT NULL GROUP BY intent_id, orderId
),
live AS (
    SELECT legs.intent_id,
        list(legs ORDER BY legs.first_ts) AS legs,
        sum(executed_qty) FILTER (NOT is_reduce OR reduce_only) AS executed_qty,
        sum(executed_qty * avg_price) FILTER (NOT is_reduce OR reduce_only) AS executed_gross_usd,
        arg_max(requested_qty, legs.first_ts) FILTER (NOT is_reduce OR reduce_only) AS last_requested_qty,
        arg_max(executed_qty, legs.first_ts) FILTER (NOT is_reduce OR reduce_only) AS last_executed_qty,
        sum(fees_usd) AS fees_usd, min(legs.first_ts) AS first_ts, min(first_ack_ts) AS first_ack_ts,
        max(last_fill_ts) AS last_fill_ts,
        arg_max(status, legs.first_ts) FILTER (NOT is_reduce OR reduce_only) AS status,
        sum(coalesce(requested_qty, executed_qty)) FILTER (is_reduce) AS reduced_qty,
        count(*) FILTER (NOT is_reduce OR reduce_only) AS own_legs,
        CASE WHEN count(DISTINCT route) FILTER (NOT is_reduce OR reduce_only) > 1 THEN 'mixed'
            ELSE any_value(route) FILTER (NOT is_reduce OR reduce_only) END AS live_route
    FROM legs LEFT JOIN (SELECT intent_id, intent.reduce_only AS reduce_only FROM shadow) USING (intent_id)
    GROUP BY legs.intent_id
),
vetoed AS (
    SELECT veto_detail.intent.intent_id AS intent_id, any_value(veto_reason) AS reason
    FROM {vetoes} WHERE veto_detail.intent.intent_id IS NOT NULL GROUP BY ALL
),
failed AS (
    SELECT intent_id, any_value(coalesce(reason, split_part(exc, '(', 1))) AS error FROM {orders}
    WHERE event_type = 'order_error' AND intent_id IS NOT NULL GROUP BY intent_id
),
arrivals AS (
    SELECT intent_id, arg_min(coalesce(nullif(prices.mark, 0), prices.submitted), ts) AS arrival_price
    FROM {metrics} WHERE event IS NULL AND intent_id IS NOT NULL GROUP BY intent_id
),
lots AS (
    SELECT pair.symbol AS symbol, pair.step_size AS lot_step FROM (SELECT unnest(universe) AS pair FROM {universe})
),
paired AS (
    SELECT s.*, s.risk_decision.allowed AS allowed, live.intent_id IS NOT NULL AS is_executed,
        vetoed.reason AS veto, failed.error, is_executed OR (veto IS NULL AND error IS NOT NULL) AS is_tried,
        CASE WHEN is_executed THEN NULL ELSE coalesce(veto, error) END AS reason,
        live.* EXCLUDE (intent_id), arrivals.arrival_price,
        nullif(arrivals.arrival_price, s.intent.price) AS market_price, lots.lot_step, s.intent.price AS price,
        coalesce(live.executed_qty - coalesce(live.last_executed_qty, 0), 0) + live.last_requested_qty AS requested_qty,
        live.executed_gross_usd / live.executed_qty AS avg_price,
        coalesce(s.size_decision.gross_usd, s.intent.quote_notional) AS shadow_gross_usd,
        coalesce(nullif(s.size_decision.qty, 0), s.intent.quote_notional / s.intent.price) AS asked_qty,
        CASE side WHEN 'BUY' THEN 1 ELSE -1 END AS sign
    FROM shadow s LEFT JOIN live USING (intent_id) LEFT JOIN vetoed USING (intent_id)
        LEFT JOIN failed USING (intent_id) LEFT JOIN arrivals USING (intent_id) LEFT JOIN lots USING (symbol)
),
sized AS (
    SELECT *, requested_qty * price AS live_gross_usd,
        (requested_qty * price - shadow_gross_usd) / shadow_gross_usd AS sizing_diff_pct,
        CASE WHEN executed_qty = 0 THEN 0 ELSE sign * (market_price - price) * executed_qty END AS delay_usd,
        CASE WHEN executed_qty = 0 THEN 0 ELSE sign * (avg_price - market_price) * executed_qty END AS execution_usd,
        CASE WHEN executed_qty = 0 THEN 0 ELSE sign * (avg_price - price) * executed_qty END AS paid_usd,
        CASE WHEN asked_qty <= executed_qty THEN 0
            ELSE sign * (coalesce(avg_price, arrival_price) - price) * (asked_qty - executed_qty) END
            AS opportunity_usd,
        CASE WHEN NOT is_executed AND veto IS NULL AND error IS NULL THEN 'live_unknown'
            WHEN allowed AND is_tried THEN 'match' WHEN allowed THEN 'shadow_allowed_live_absent'
            WHEN is_tried THEN 'shadow_vetoed_live_executed' ELSE 'match_veto' END AS mismatch_kind,
        CASE WHEN is_executed THEN 'executed' WHEN veto IS NOT NULL THEN 'vetoed'
            WHEN error IS NOT NULL THEN 'error' ELSE 'unresolved' END AS live_outcome
    FROM paired
),
measured AS (
    SELECT *,
        CASE WHEN sizing_diff_pct <= 0.001 THEN false
            ELSE (live_gross_usd - shadow_gross_usd) / price > coalesce(lot_step, 0) * (1 + 1e-9) END AS is_upsize,
        CASE WHEN mismatch_kind = 'live_unknown' THEN NULL
            ELSE CASE WHEN is_executed THEN live_gross_usd ELSE 0 END
                - CASE WHEN allowed THEN shadow_gross_usd ELSE 0 END END AS impact_usd,
        paid_usd + fees_usd + opportunity_usd AS total_usd
    FROM sized
),
explained AS (
    SELECT *, CASE WHEN is_upsize THEN CASE
            WHEN live_gross_usd - shadow_gross_usd <= coalesce(lot_step, 0) * price * (1 + 1e-6) THEN 'lot_rounding'
            WHEN own_legs > 1 AND abs(requested_qty - own_legs * asked_qty) <= 1e-6 * requested_qty THEN 'duplicate'
            WHEN reduced_qty > 0 AND abs(requested_qty - reduced_qty) <= 1e-6 * requested_qty THEN 'flip_leg'
            WHEN executed_qty <= asked_qty * (1 + 1e-6) THEN 'price_moved' ELSE 'unexplained' END END AS upsize_cause
    FROM measured
)
SELECT symbol, timestamp AS ts, decision_id, intent_id, side,
    CASE WHEN is_executed OR reason IS NOT NULL THEN 'intent_id' END AS match_method,
    first_ts - timestamp AS match_dt_s,
    live_outcome, mismatch_kind,
    CASE WHEN mismatch_kind <> 'live_unknown' THEN allowed <> is_tried END AS veto_mismatch,
    100 * (executed_qty - size_decision.qty) / size_decision.qty AS size_pct_diff,
    sizing_diff_pct, is_upsize,
    sign * (avg_price - price) / price * 1e4 - router_decision.expected_slippage_bps AS slippage_diff_bps,
    impact_usd,
    CASE WHEN mismatch_kind = 'shadow_vetoed_live_executed' THEN 'shadow_rule'
        WHEN mismatch_kind = 'shadow_allowed_live_absent' AND live_outcome = 'vetoed' THEN 'live_veto'
        WHEN live_outcome = 'error' THEN 'live_error' WHEN live_outcome = 'unresolved' THEN 'unresolved'
        WHEN upsize_cause IS NOT NULL THEN upsize_cause
        WHEN executed_qty < requested_qty * (1 - 1e-6) AND status IN ('CANCELED', 'EXPIRED') THEN 'partial_fill'
        END AS root_cause,
    {{'decision_id': decision_id, 'symbol': symbol, 'side': side, 'intent_id': intent_id, 'attempt_id': attempt_id,
      'as_of': timestamp, 'is_allowed': allowed, 'reasons': risk_decision.reasons,
      'is_reduce_only': intent.reduce_only, 'price': intent.price, 'quote_notional': intent.quote_notional,
      'sized_qty': size_decision.qty, 'sized_gross_usd': size_decision.gross_usd,
      'expected_slippage_bps': router_decision.expected_slippage_bps, 'route': router_decision.route,
      'config_hash': config_hash, 'tier': intent.tier_name}} AS shadow,
    {{'legs': legs, 'requested_qty': requested_qty, 'executed_qty': executed_qty, 'avg_price': avg_price,
      'executed_gross_usd': executed_gross_usd, 'gross_usd': live_gross_usd, 'fees_usd': fees_usd,
      'first_ack_ts': first_ack_ts, 'last_fill_ts': last_fill_ts, 'status': status, 'reason': reason,
      'arrival_price': arrival_price, 'route': live_route}} AS live,
    NULL AS revision_of, NULL AS ignored_by,
    CASE WHEN executed_qty IS NOT NULL THEN {{'delay_usd': delay_usd, 'execution_usd': execution_usd,
      'fees_usd': fees_usd, 'opportunity_usd': opportunity_usd, 'total_usd': total_usd,
      'total_bps': 1e4 * total_usd / (asked_qty * price)}} END AS shortfall,
    live_route <> router_decision.route AS route_mismatch,
    CASE WHEN impact_usd IS NULL THEN NULL WHEN allowed <> is_tried THEN abs(impact_usd) ELSE 0 END AS mismatch_usd,
    CASE mismatch_kind WHEN 'shadow_vetoed_live_executed' THEN array_to_string(risk_decision.reasons, '+')
      ELSE CASE WHEN live_outcome = 'error' OR mismatch_kind = 'shadow_allowed_live_absent' THEN reason END
      END AS cause_detail,
    upsize_cause,
    false AS heartbeat
FROM explained ORDER BY ts
) TO '{output}' (FORMAT json)
"""  # noqa: S608
)
