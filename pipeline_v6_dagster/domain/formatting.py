"""Figures as people read them: thousands separators, never scientific notation, a date with every time.

What was not measured reads `not measured`, never 0.
"""

from math import isfinite

NOT_MEASURED = "not measured"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
# More decimals than any exchange has in a price or a quantity.
_MOST_DECIMALS = 10


def format_usd(value: float | None) -> str:
    """USD with two decimals: `1,234.50 USD`."""
    return _fixed(value, 2, " USD")


def format_percent(ratio: float | None) -> str:
    """A ratio (0.25) as a percentage with one decimal: `25.0 %`."""
    return _fixed(None if ratio is None else 100 * ratio, 1, " %")


def format_ratio(ratio: float | None) -> str:
    """How many times as much, with two decimals: `x2.00`."""
    text = _fixed(ratio, 2, "")
    return text if text == NOT_MEASURED else f"x{text}"


def format_bps(value: float | None) -> str:
    """Basis points with one decimal: `3.5 bps`."""
    return _fixed(value, 1, " bps")


def format_number(value: float | None) -> str:
    """A quantity, price or count with the decimals that it has, at most ten: `80,000`, `0.00001`."""
    text = _fixed(value, _MOST_DECIMALS, "")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_duration(seconds: float | None) -> str:
    """A span in its two largest units, rounded down: `3 d 4 h`, `1 min 30 s`; below ten seconds `0.5 s`."""
    if seconds is None or not isfinite(seconds):
        return NOT_MEASURED
    sign = "-" if seconds < 0 else ""
    span = abs(seconds)
    if span < 10:
        return f"{sign if span >= 0.05 else ''}{span:.1f}".removesuffix(".0") + " s"
    whole = int(span)
    units = (("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S), ("s", 1))
    first = next(place for place, (_, size) in enumerate(units) if whole >= size)
    parts: list[str] = []
    for name, size in units[first : first + 2]:
        count, whole = divmod(whole, size)
        if count or not parts:
            parts.append(f"{count:,} {name}")
    return sign + " ".join(parts)


def format_time(epoch_s: float | None) -> str:
    """A time (epoch s) in UTC to the second, with its date: `2025-11-05 21:20:27 UTC`."""
    if epoch_s is None or not isfinite(epoch_s):
        return NOT_MEASURED
    days, second = divmod(int(epoch_s // 1), _DAY_S)
    year, month, day = _civil_date(days)
    hour, rest = divmod(second, _HOUR_S)
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{rest // _MINUTE_S:02}:{rest % _MINUTE_S:02} UTC"


def _fixed(value: float | None, decimals: int, unit: str) -> str:
    if value is None or not isfinite(value):
        return NOT_MEASURED
    # Adding 0 turns the -0.0 that rounding leaves into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}{unit}"


def _civil_date(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a day counted from 1970-01-01.

    Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin in March, so that the leap
    day is the last of its year, and 400 years have 146,097 days.
    """
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    return year_of_era + era * 400 + (month <= 2), month, day
