"""The comparison as a DuckDB script: the same three logs in, joined by intent, the same columns out as JSON lines.

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
    " intent: 'STRUCT(side VARCHAR, price DOUBLE, quote_notional DOUBLE, reduce_only BOOLEAN)',"
    " risk_decision: 'STRUCT(allowed BOOLEAN, reasons VARCHAR[])',"
    " size_decision: 'STRUCT(gross_usd DOUBLE, qty DOUBLE)',"
    " router_decision: 'STRUCT(expected_slippage_bps DOUBLE, route VARCHAR)'",
)
orders = read(
    "execution/orders_executed*.jsonl",
    "event_type: 'VARCHAR', ts: 'TIMESTAMPTZ', intent_id: 'VARCHAR', attempt_id: 'VARCHAR', orderId: 'VARCHAR',"
    " request_qty: 'DOUBLE', executedQty: 'DOUBLE', avgPrice: 'DOUBLE', fee_total: 'DOUBLE', status: 'VARCHAR',"
    " reduceOnly: 'BOOLEAN'",
)
vetoes = read(
    "execution/risk_vetoes*.jsonl",
    "ts: 'TIMESTAMPTZ', veto_reason: 'VARCHAR', veto_detail: 'STRUCT(intent STRUCT(intent_id VARCHAR))'",
)

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
        max(last_fill_ts) AS last_fill_ts, arg_max(status, legs.first_ts) AS status
    FROM legs LEFT JOIN (SELECT intent_id, intent.reduce_only AS reduce_only FROM shadow) USING (intent_id)
    GROUP BY legs.intent_id
),
vetoed AS (
    SELECT veto_detail.intent.intent_id AS intent_id, any_value(veto_reason) AS reason
    FROM {vetoes} WHERE veto_detail.intent.intent_id IS NOT NULL GROUP BY ALL
),
paired AS (
    SELECT s.*, s.risk_decision.allowed AS allowed, live.intent_id IS NOT NULL AS is_executed, vetoed.reason,
        live.legs, live.executed_qty, live.executed_gross_usd, live.fees_usd, live.first_ts, live.first_ack_ts,
        live.last_fill_ts, live.status,
        live.executed_qty - coalesce(live.last_executed_qty, 0) + live.last_requested_qty AS requested_qty,
        live.executed_gross_usd / live.executed_qty AS avg_price,
        coalesce(s.size_decision.gross_usd, s.intent.quote_notional) AS shadow_gross_usd
    FROM shadow s LEFT JOIN live USING (intent_id) LEFT JOIN vetoed USING (intent_id)
),
measured AS (
    SELECT *, requested_qty * intent.price AS live_gross_usd FROM paired
)
SELECT symbol, timestamp AS ts, decision_id, intent_id, side,
    CASE WHEN is_executed OR reason IS NOT NULL THEN 'intent_id' END AS match_method,
    first_ts - timestamp AS match_dt_s,
    CASE WHEN is_executed THEN 'executed' WHEN reason IS NOT NULL THEN 'vetoed' ELSE 'unresolved' END AS live_outcome,
    CASE WHEN allowed AND is_executed THEN 'match' WHEN allowed THEN 'shadow_allowed_live_absent'
        WHEN is_executed THEN 'shadow_vetoed_live_executed' ELSE 'match_veto' END AS mismatch_kind,
    allowed <> is_executed AS veto_mismatch,
    100 * (executed_qty - size_decision.qty) / size_decision.qty AS size_pct_diff,
    (live_gross_usd - shadow_gross_usd) / shadow_gross_usd AS sizing_diff_pct,
    CASE side WHEN 'BUY' THEN 1 ELSE -1 END * (avg_price - intent.price) / intent.price * 1e4
        - router_decision.expected_slippage_bps AS slippage_diff_bps,
    CASE WHEN is_executed THEN live_gross_usd ELSE 0 END - CASE WHEN allowed THEN shadow_gross_usd ELSE 0 END
        AS impact_usd,
    {{'decision_id': decision_id, 'symbol': symbol, 'side': side, 'intent_id': intent_id, 'attempt_id': attempt_id,
      'as_of': timestamp, 'is_allowed': allowed, 'reasons': risk_decision.reasons,
      'is_reduce_only': intent.reduce_only, 'price': intent.price, 'quote_notional': intent.quote_notional,
      'sized_qty': size_decision.qty, 'sized_gross_usd': size_decision.gross_usd,
      'expected_slippage_bps': router_decision.expected_slippage_bps, 'route': router_decision.route,
      'config_hash': config_hash}} AS shadow,
    {{'legs': legs, 'requested_qty': requested_qty, 'executed_qty': executed_qty, 'avg_price': avg_price,
      'executed_gross_usd': executed_gross_usd, 'gross_usd': live_gross_usd, 'fees_usd': fees_usd,
      'first_ack_ts': first_ack_ts, 'last_fill_ts': last_fill_ts, 'status': status, 'reason': reason}} AS live,
    false AS heartbeat
FROM measured ORDER BY ts
) TO '{output}' (FORMAT json)
"""  # noqa: S608
)
