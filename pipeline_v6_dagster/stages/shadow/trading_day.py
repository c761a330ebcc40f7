"""When a desk's day begins: midnight of its time zone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline_v6_dagster.shadow.account_book import TradingDayBounds


def trading_day_bounds(timezone: str) -> TradingDayBounds:
    """(start, end) of the day that holds a time, epoch seconds. Days on which clocks change are 23 or 25 hours long."""
    zone = ZoneInfo(timezone)

    def bounds(ts: float) -> tuple[float, float]:
        start = datetime.fromtimestamp(ts, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return start.timestamp(), (start + timedelta(days=1)).timestamp()

    return bounds
