"""The comparison as a polars script: three logs in, joined by intent, the contract's figures out as JSON lines.

Without causes, shortfall and arrival prices; and as `peer_duckdb.py` without settlement, revisions, pairing without
ids, cursor.
Usage: peer_polars.py LOGS_FOLDER OUTPUT
"""

import gzip
import sys
from pathlib import Path

import polars as pl

logs, output = Path(sys.argv[1]), sys.argv[2]
NUMBER, TEXT, FLAG = pl.Float64, pl.String, pl.Boolean


def read(pattern: str, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Every file of a log, plain or compressed."""
    frames = []
    for path in sorted(logs.glob(pattern)):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        frames.append(pl.read_ndjson(raw, schema=schema, ignore_errors=True))
    return pl.concat(frames)


shadow = read(
    "pipeline_v6_shadow*.jsonl*",
    {
        "decision_id": TEXT,
        "symbol": TEXT,
        "intent_id": TEXT,
        "timestamp": NUMBER,
        "intent": pl.Struct({"side": TEXT, "price": NUMBER, "quote_notional": NUMBER, "reduce_only": FLAG}),
        "risk_decision": pl.Struct({"allowed": FLAG, "reasons": pl.List(TEXT)}),
        "size_decision": pl.Struct({"gross_usd": NUMBER, "qty": NUMBER}),
        "router_decision": pl.Struct({"expected_slippage_bps": NUMBER, "route": TEXT}),
        "config_hash": TEXT,
    },
).with_columns(
    pl.col("intent").struct.field("side", "price", "quote_notional", "reduce_only"),
    pl.col("risk_decision").struct.field("allowed"),
    pl.col("size_decision").struct.field("gross_usd", "qty"),
    pl.col("router_decision").struct.field("expected_slippage_bps"),
)
events = read(
    "execution/orders_executed*.jsonl",
    {
        **dict.fromkeys(("event_type", "ts", "intent_id", "attempt_id", "orderId", "status"), TEXT),
        **dict.fromkeys(("request_qty", "executedQty", "avgPrice", "fee_total"), NUMBER),
        "reduceOnly": FLAG,
    },
).filter(pl.col("event_type").is_in(["order_ack", "order_fill"]) & pl.col("intent_id").is_not_null())
is_fill = pl.col("event_type") == "order_fill"
legs = (
    events.with_columns(
        log_ts=pl.col("ts").str.to_datetime(time_unit="us", time_zone="UTC").dt.epoch("us") / 1e6,
        is_reduce=pl.col("reduceOnly").fill_null(value=False) | pl.col("attempt_id").str.ends_with("_reduce"),
    )
    .sort("log_ts")
    .group_by("intent_id", "orderId", maintain_order=True)
    .agg(
        is_reduce=pl.col("is_reduce").any(),
        requested_qty=pl.col("request_qty").max(),
        executed_qty=pl.col("executedQty").filter(is_fill).last(),
        avg_price=pl.col("avgPrice").filter(is_fill).last(),
        fees_usd=pl.col("fee_total").filter(is_fill).last(),
        status=pl.col("status").last(),
        first_ts=pl.col("log_ts").first(),
        last_fill_ts=pl.col("log_ts").filter(is_fill).last(),
    )
    .join(shadow.select("intent_id", "reduce_only"), on="intent_id", how="left")
)
own = pl.col("reduce_only").fill_null(value=False) | ~pl.col("is_reduce")
live = legs.group_by("intent_id", maintain_order=True).agg(
    legs=pl.struct("orderId", "requested_qty", "executed_qty", "avg_price", "fees_usd", "status", "first_ts"),
    executed_qty=pl.col("executed_qty").filter(own).sum(),
    executed_gross_usd=(pl.col("executed_qty") * pl.col("avg_price")).filter(own).sum(),
    last_requested_qty=pl.col("requested_qty").filter(own).last(),
    last_executed_qty=pl.col("executed_qty").filter(own).last(),
    fees_usd=pl.col("fees_usd").sum(),
    first_ts=pl.col("first_ts").min(),
    last_fill_ts=pl.col("last_fill_ts").max(),
)
vetoes = (
    read(
        "execution/risk_vetoes*.jsonl",
        {"veto_reason": TEXT, "veto_detail": pl.Struct({"intent": pl.Struct({"intent_id": TEXT})})},
    )
    .with_columns(intent_id=pl.col("veto_detail").struct.field("intent").struct.field("intent_id"))
    .filter(pl.col("intent_id").is_not_null())
    .group_by("intent_id")
    .agg(reason=pl.col("veto_reason").first())
)
is_executed = pl.col("legs").is_not_null()
paired = (
    shadow.join(live, on="intent_id", how="left")
    .join(vetoes, on="intent_id", how="left")
    .with_columns(
        is_executed=is_executed,
        requested_qty=pl.col("executed_qty")
        - pl.col("last_executed_qty").fill_null(0.0)
        + pl.col("last_requested_qty"),
        shadow_gross_usd=pl.coalesce("gross_usd", "quote_notional"),
        sign=pl.when(pl.col("side") == "BUY").then(1.0).otherwise(-1.0),
    )
    .with_columns(live_gross_usd=pl.col("requested_qty") * pl.col("price"))
)
paired.select(
    "symbol",
    pl.col("timestamp").alias("ts"),
    "decision_id",
    "intent_id",
    "side",
    match_dt_s=pl.col("first_ts") - pl.col("timestamp"),
    veto_mismatch=pl.col("allowed") != is_executed,
    size_pct_diff=100 * (pl.col("executed_qty") - pl.col("qty")) / pl.col("qty"),
    sizing_diff_pct=(pl.col("live_gross_usd") - pl.col("shadow_gross_usd")) / pl.col("shadow_gross_usd"),
    slippage_diff_bps=pl.col("sign")
    * (pl.col("executed_gross_usd") / pl.col("executed_qty") - pl.col("price"))
    / pl.col("price")
    * 1e4
    - pl.col("expected_slippage_bps"),
    impact_usd=pl.when(is_executed).then("live_gross_usd").otherwise(0.0)
    - pl.when("allowed").then("shadow_gross_usd").otherwise(0.0),
    shadow=pl.struct("intent", "risk_decision", "size_decision", "router_decision", "config_hash"),
    live=pl.struct("legs", "requested_qty", "executed_qty", "executed_gross_usd", "fees_usd", "last_fill_ts", "reason"),
).write_ndjson(output)
