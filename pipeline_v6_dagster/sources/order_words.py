"""What the words in a row of `orders_executed.jsonl` mean: event types, statuses, order types, fee assets."""

from functools import lru_cache

from pipeline_v6_dagster.domain.decision import Route
from pipeline_v6_dagster.domain.live import ACK, CLOSE, ERROR, FILL, OrderStatus

KINDS = {"order_ack": ACK, "order_fill": FILL, "order_error": ERROR, "order_close": CLOSE}
STATUSES = {status.value: status for status in OrderStatus} | {"CANCELLED": OrderStatus.CANCELED}
DRY_RUN = "DRY"

_ROUTE_OF_TYPE = {
    "MARKET": Route.TAKER,
    "STOP_MARKET": Route.TAKER,
    "TAKE_PROFIT_MARKET": Route.TAKER,
    "TRAILING_STOP_MARKET": Route.TAKER,
    "LIMIT_MAKER": Route.MAKER,
    "POST_ONLY": Route.MAKER,
}
# Good till crossing: post-only, as Binance futures name it.
_ROUTE_OF_TIME_IN_FORCE = {"IOC": Route.TAKER, "FOK": Route.TAKER, "GTX": Route.MAKER}
# Executors that log no time in force send limit orders in order to rest.
_RESTING = "LIMIT"

_PID_TYPES = (int, str)

USD_ASSETS = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "USDP", "DAI"})


def infer_route(is_maker: object, order_type: object, time_in_force: object) -> Route | None:
    """Whether an order made or took: its fill's own flag, else what type and time in force imply; None if unknown."""
    if is_maker is not None:
        if is_maker is True or is_maker == "true":
            return Route.MAKER
        if is_maker is False or is_maker == "false":
            return Route.TAKER
    if not isinstance(order_type, str):
        order_type = None
    route = _ROUTE_OF_TYPE.get(order_type) if order_type is not None else None
    if route is not None:
        return route
    if isinstance(time_in_force, str) and time_in_force:
        return _ROUTE_OF_TIME_IN_FORCE.get(time_in_force.upper())
    return Route.MAKER if order_type == _RESTING else None


def fees_usd(fee_total: float | None, asset: object) -> float | None:
    """A fee in USD; None where it was paid in another asset. Rows without an asset are in USD."""
    return fee_total if asset is None or (isinstance(asset, str) and asset in USD_ASSETS) else None


def process_name(hostname: object, pid: object) -> str | None:
    """The executor process that wrote a row, as `hostname/pid`; None where the row names neither."""
    return _process_name(hostname if isinstance(hostname, str) else "", pid if isinstance(pid, _PID_TYPES) else "")


@lru_cache(maxsize=64)
def _process_name(hostname: str, pid: int | str) -> str | None:
    return f"{hostname}/{pid}" if hostname or pid else None
