"""Every field that the parsers read of the executor's logs: what it means, its unit, and what is lost without it.

`docs/schemas/` and the reference are made from these tables, and a test holds them equal to the parsers. A field that
no table names is ignored. A name with a dot stands inside of an object: `raw.status` is `status` in `raw`.
"""

from dataclasses import dataclass
from enum import StrEnum


class FieldKind(StrEnum):
    """What a field may hold. Each may be null, which is the same as absent."""

    NUMBER = "number, or a decimal number as text"
    TEXT = "text"
    ID = "text, or a whole number"
    TIME = "ISO-8601 text with a zone, or epoch seconds"
    FLAG = "true or false, also as text"
    SIDE = "BUY, SELL, LONG, SHORT or BOTH, in any case"
    POSITION_SIDE = "LONG, SHORT or BOTH, in any case"
    OBJECT = "object"
    NUMBERS = "object of numbers by symbol"
    ROWS = "list of objects with the fields of a single position"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputField:
    """One field. `names` are those it may stand under, the first that is present counts.

    `is_required`: a row without any of the names is not used. `without` says what is lost if the field is missing.
    """

    names: tuple[str, ...]
    kind: FieldKind
    meaning: str
    unit: str = ""
    is_required: bool = False
    without: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputLog:
    """One log. `setting` is the attribute of the settings that holds its path. `rows` says which rows are used."""

    name: str
    setting: str
    title: str
    rows: str
    fields: tuple[InputField, ...]


def make_field(
    names: str, kind: FieldKind, meaning: str, unit: str = "", without: str = "", *, is_required: bool = False
) -> InputField:
    """A field that may stand under any of `names`, which spaces separate."""
    return InputField(
        names=tuple(names.split()), kind=kind, meaning=meaning, unit=unit, without=without, is_required=is_required
    )


_field = make_field
_NUMBER, _TEXT, _ID, _TIME = FieldKind.NUMBER, FieldKind.TEXT, FieldKind.ID, FieldKind.TIME
_FLAG, _OBJECT = FieldKind.FLAG, FieldKind.OBJECT
_QTY, _QUOTE, _USD, _BPS, _S = "base asset", "quote asset", "USD", "bps", "s"
_UNPAIRED = "orders are paired by symbol, side and time alone"

ATTEMPTS = InputLog(
    name="orders_attempted",
    setting="order_attempts",
    title="What the strategy asked for, before any risk check: a line for each order attempt.",
    rows="`event_type` is `order_attempt` or absent; other rows are ignored.",
    fields=(
        _field("event_type", _TEXT, "`order_attempt`"),
        _field("local_ts ts", _TIME, "when the attempt was made: the as-of time of the decision", "", is_required=True),
        _field("symbol", _TEXT, "the contract", "", "denied: `unknown_symbol`"),
        _field("side", _TEXT, "BUY or LONG, SELL or SHORT", "", "denied: `invalid_intent`"),
        _field("qty", _NUMBER, "quantity", _QTY, "it follows from notional and price"),
        _field("price_hint price", _NUMBER, "price at which the strategy decided", _QUOTE, "no notional, no slippage"),
        _field("notional gross_usd quote_notional", _NUMBER, "size", _USD, "it follows from quantity and price"),
        _field("leverage lev", _NUMBER, "leverage", "x", "the universe's; denied where that is missing and limited"),
        _field("tier", _TEXT, "tier of the symbol", "", "the universe's"),
        _field("strategy_id strategy", _TEXT, "which strategy asked", "", "shown as unknown"),
        _field("reduce_only reduceOnly", _FLAG, "only reduces a position", "", "counts as an opening"),
        _field("positionSide position_side", _TEXT, "side of the position in hedge mode", "", "one-way mode"),
        _field("intent_id", _ID, "what the strategy wants, the same in all logs", "", _UNPAIRED),
        _field("attempt_id", _ID, "this attempt at it", "", "paired by `intent_id`, else by time"),
        _field("amends", _ID, "intent or attempt that this one changes", "", "counts as a new order"),
        _field("nav_snapshot", _OBJECT, "account as of the attempt", "", "`position_state`; else denied"),
        _field("nav_snapshot.nav_usd nav_snapshot.nav", _NUMBER, "net asset value", _USD, "denied: no NAV"),
        _field(
            "nav_snapshot.gross_usd nav_snapshot.portfolio_gross_usd",
            _NUMBER,
            "gross exposure of all symbols",
            _USD,
            "the portfolio limit denies",
        ),
        _field(
            "nav_snapshot.symbol_gross_usd",
            FieldKind.NUMBERS,
            "gross exposure by symbol",
            _USD,
            "limits per symbol, per tier and on open positions deny",
        ),
        _field("nav_snapshot.ts nav_snapshot.updated_ts", _TIME, "when it was taken", "", "as fresh as the attempt"),
        _field("nav_snapshot.nav_age_s", _NUMBER, "how old it is; counts before its time", _S),
        _field(
            "nav_snapshot.free_balance_usd nav_snapshot.free_balance nav_snapshot.available_balance"
            " nav_snapshot.availableBalance",
            _NUMBER,
            "balance that is free for margin",
            _USD,
            "the margin rule denies where it is configured",
        ),
    ),
)

VETOES = InputLog(
    name="risk_vetoes",
    setting="risk_vetoes",
    title="What the live executor refused, and why.",
    rows="`event_type` is `risk_veto` or absent; a row needs a symbol or an id.",
    fields=(
        _field("event_type", _TEXT, "`risk_veto`"),
        _field("ts local_ts", _TIME, "when it was refused", "", is_required=True),
        _field("symbol", _TEXT, "the contract", "", "paired by id alone"),
        _field("side", _TEXT, "BUY or LONG, SELL or SHORT", "", "paired by id alone"),
        _field("intent_id veto_detail.intent.intent_id", _ID, "what the strategy wanted", "", _UNPAIRED),
        _field("attempt_id veto_detail.intent.attempt_id", _ID, "this attempt at it", "", "paired by `intent_id`"),
        _field("veto_reason reason", _TEXT, "why it was refused", "", "the reason is `unknown`"),
        _field("veto_detail", _OBJECT, "what the executor looked at"),
        _field("veto_detail.intent", _OBJECT, "the intent, where the ids stand there"),
        _field("veto_detail.intent.signal", _ID, "its side, where `side` is missing"),
    ),
)

METRICS = InputLog(
    name="order_metrics",
    setting="order_metrics",
    title="Prices, timing and slippage of one live order.",
    rows="Rows with an `event` (`position_close`) measure no order and are ignored.",
    fields=(
        _field("event", _TEXT, "absent in a row about an order"),
        _field("ts local_ts", _TIME, "when it was measured", "", is_required=True),
        _field("symbol", _TEXT, "the contract", "", "no reference price, no record of fills"),
        _field("intent_id", _ID, "what the strategy wanted", "", "no arrival price of the order"),
        _field("attempt_id", _ID, "this attempt at it", "", "found by `intent_id`"),
        _field("route", _TEXT, "`maker`, `limit`, `post_only`; all else is taker", "", "counts as taker"),
        _field("prices", _OBJECT, "prices of the order"),
        _field(
            "prices.mark", _NUMBER, "mark price when it was sent", _QUOTE, "no reference price for the price collar"
        ),
        _field("prices.submitted", _NUMBER, "price that was submitted", _QUOTE, "arrival is the mark price alone"),
        _field("prices.avg_fill", _NUMBER, "average price of its fills", _QUOTE, "counts as not filled"),
        _field("result", _OBJECT, "how it ended"),
        _field("result.status", _TEXT, "status of the exchange", "", "whether it was filled stays unknown"),
        _field("slippage_bps", _NUMBER, "positive is a cost", _BPS, "no expected slippage of the route"),
    ),
)

_POSITION_FIELDS = (
    ("symbol", _TEXT, "the contract", "", "the position is not used"),
    ("pos_qty", _NUMBER, "quantity that is held, negative for a short", _QTY, "the row is malformed"),
    ("entry_px", _NUMBER, "average entry price", _QUOTE, "its gross follows from the newest price"),
    ("positionSide", FieldKind.TEXT, "LONG or SHORT in hedge mode", "", "`mode`, else the sign of the quantity"),
    ("mode", FieldKind.TEXT, "LONG or SHORT in hedge mode", "", "the sign of the quantity"),
)

POSITIONS = InputLog(
    name="position_state",
    setting="position_state",
    title="Position snapshots (optional): one position a row, or a list of positions in one.",
    rows="A list with one bad entry is not used at all. Without this log positions follow from fills and closes.",
    fields=(
        _field("ts local_ts", _TIME, "when the snapshot was taken", "", "the newest time in its list"),
        *(_field(*each) for each in _POSITION_FIELDS),
        _field("items rows positions", FieldKind.ROWS, "all positions at that time", "", "the row is one position"),
    ),
)
