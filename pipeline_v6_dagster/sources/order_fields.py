"""Every field that the parser reads of `orders_executed.jsonl`; see `sources.input_fields`."""

from pipeline_v6_dagster.sources.input_fields import FieldKind, InputLog
from pipeline_v6_dagster.sources.input_fields import make_field as _field

_NUMBER, _TEXT, _ID, _TIME = FieldKind.NUMBER, FieldKind.TEXT, FieldKind.ID, FieldKind.TIME
_FLAG, _OBJECT = FieldKind.FLAG, FieldKind.OBJECT
_QTY, _QUOTE, _USD = "base asset", "quote asset", "USD"
_UNPAIRED = "orders are paired by symbol, side and time alone"
_FILTERS = "exchange_filters_used"
_EXECUTED = "executedQty executed_qty filled_qty filledQty cumQty cum_qty"
_REQUESTED_ELSEWHERE = "requested_qty origQty orig_qty quantity"

ORDERS = InputLog(
    name="orders_executed",
    setting="orders_executed",
    title="Acks, fills, closes and errors of the live executor's orders.",
    rows=(
        "`event_type` is `order_ack`, `order_fill`, `order_close` or `order_error`. A row of another type that has a"
        " gross is an order by itself. A row needs a symbol or an id, an ack and a fill an order id; dry runs are"
        " ignored. One that is not used and carries an executed quantity breaks `inputs_usable`."
    ),
    fields=(
        _field("event_type event", _ID, "`order_ack`, `order_fill`, `order_close`, `order_error`", "", "ignored"),
        _field("ts local_ts ts_ack ts_fill_last ts_close", _TIME, "when it happened", "", is_required=True),
        _field("symbol raw.symbol", _ID, "the contract", "", "paired by id alone"),
        _field("side raw.side", FieldKind.SIDE, "side of the order", "", "compared by id alone; position unknown"),
        _field(
            "positionSide position_side raw.positionSide",
            FieldKind.POSITION_SIDE,
            "side of the position in hedge mode",
            "",
            "one-way mode",
        ),
        _field("intent_id", _ID, "what the strategy wanted, the same in all logs", "", _UNPAIRED),
        _field("attempt_id", _ID, "this attempt; a reducing leg ends in `_reduce`", "", "paired by `intent_id`"),
        _field(
            "orderId order_id raw.orderId clientOrderId client_order_id request_id",
            _ID,
            "id of the order",
            "",
            "an ack or a fill is not used",
        ),
        _field("request_qty raw.origQty rounded_qty qty", _NUMBER, "quantity of an ack", _QTY, "no size is compared"),
        _field(
            f"{_EXECUTED} raw.executedQty",
            _NUMBER,
            "quantity of a fill, cumulative per order; of an ack it counts where it is more than the requested one",
            _QTY,
            "counts as not executed",
        ),
        _field("avgPrice", _NUMBER, "average price of a fill", _QUOTE, "no slippage, no executed gross"),
        _field("price", _NUMBER, "price of a row that is an order by itself", _QUOTE, "no slippage"),
        _field("fee_total", _NUMBER, "fees of the order", "`feeAsset`", "fees are not measured"),
        _field("feeAsset", _TEXT, "asset of the fee; one that is no dollar is not USD", "", "USD"),
        _field("closed_qty", _NUMBER, "quantity that a close took off", _QTY, "the position stays unknown"),
        _field("position_size_before", _NUMBER, "position before a close; its sign is its side", _QTY),
        _field("position_size_after", _NUMBER, "position after a close", _QTY, "it follows from fills and closes"),
        _field("realizedPnlUsd", _NUMBER, "profit of a close", _USD, "no day loss"),
        _field("status raw.status", _ID, "status as Binance names it; `DRY` is ignored", "", "no end of the order"),
        _field("reduceOnly reduce_only raw.reduceOnly", _FLAG, "only reduces a position", "", "an opening"),
        _field("order_type raw.type", _TEXT, "MARKET, LIMIT, STOP ...", "", "maker or taker is unknown"),
        _field("timeInForce raw.timeInForce", _TEXT, "IOC, FOK, GTX, GTC", "", "the order type tells"),
        _field("maker is_maker", _FLAG, "whether a fill was maker", "", "type and time in force tell"),
        _field("accepted", _FLAG, "false: the exchange refused the order", "", "the status tells"),
        _field("dry_run raw.dryRun", _FLAG, "true: nothing was sent; ignored"),
        _field("reason", _ID, "why; `dry_run` is ignored", "", "shown as unknown"),
        _field("exc", _ID, "exception of an `order_error`", "", "`reason`"),
        _field("placed_by", _TEXT, "`v6`: v6 placed the order in a rollout", "", "counts as placed by live"),
        _field("hostname", _TEXT, "machine of the process that wrote the row", "", "`one_executor` sees less"),
        _field("pid", _ID, "that process", "", "`one_executor` sees less"),
        _field("raw", _OBJECT, "answer of the exchange, for what the row does not name itself"),
        _field(_FILTERS, _OBJECT, "filters of the exchange that the order was rounded by"),
        _field(f"{_FILTERS}.LOT_SIZE", _OBJECT, "lot filter"),
        _field(f"{_FILTERS}.LOT_SIZE.stepSize", _NUMBER, "lot step", _QTY, "root cause of an upsize is less precise"),
        _field(f"{_FILTERS}.MIN_NOTIONAL", _OBJECT, "notional filter"),
        _field(
            f"{_FILTERS}.MIN_NOTIONAL.notional {_FILTERS}.MIN_NOTIONAL.minNotional",
            _NUMBER,
            "smallest notional",
            _USD,
            "root cause of an upsize is less precise",
        ),
        _field(
            "notional gross quote_notional notional_usd gross_usd",
            _NUMBER,
            "gross of a row that is an order by itself",
            _USD,
            "a row of an unknown type is ignored",
        ),
        _field(_REQUESTED_ELSEWHERE, _NUMBER, "requested quantity of such a row, with an order id", _QTY),
        _field("strategy strategy_id", _TEXT, "strategy of such a row, as `known_rows_ok` of the limits lists it"),
    ),
)
