"""What is valid by itself and does not fit the rest: settings, and the universe beside what live trades."""

from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings, ShadowSource
from pipeline_v6_dagster.domain.attempt import Attempt
from pipeline_v6_dagster.domain.limits import Limits
from pipeline_v6_dagster.sources.attempts import parse_attempt
from pipeline_v6_dagster.storage.file_info import last_lines
from pipeline_v6_dagster.storage.lock import LOCK_TIMEOUT_S

_PREFIX = "PIPELINE_"
_MINUTE_S, _DAY_S = 60, 86_400
# Of the attempts log: about the newest thousand.
_TAIL_BYTES = 1_000_000
_MOST_SHOWN = 8
# Read by the files of deploy/, not by this program.
_OF_DEPLOYMENT = frozenset({"PIPELINE_V6_CODE_PORT", "PIPELINE_V6_WEB_PORT", "PIPELINE_V6_ADMIN_PORT"})


def unread_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that look like settings and are none, with the nearest known one."""
    known = [field.alias for field in Settings.model_fields.values() if field.alias]
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known and name not in _OF_DEPLOYMENT:
            nearest = get_close_matches(name, known, n=1)
            hint = f"; the nearest known setting is {nearest[0]}" if nearest else ""
            yield f"environment: {name}: no setting has this name{hint}"


def interval_misfits(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    """Intervals, tolerances and sample sizes that work against each other."""
    heartbeat_s, compare_s = settings.heartbeat_interval_s, settings.compare_interval_s
    for name, interval_s in (
        ("PIPELINE_SHADOW_HEARTBEAT_INTERVAL", heartbeat_s),
        ("PIPELINE_COMPARE_INTERVAL", compare_s),
    ):
        if interval_s == INTERVAL_FLOOR_S and float(environ.get(name) or INTERVAL_FLOOR_S) < INTERVAL_FLOOR_S:
            yield f"{name} = {environ[name]} is below the floor: it is {INTERVAL_FLOOR_S:g} s"
        if interval_s % _MINUTE_S:
            yield f"{name} = {interval_s:g} s is not whole minutes: its sensor runs it, there is no schedule"
        elif _DAY_S % interval_s:
            yield f"{name} = {interval_s:g} s does not divide a day: its schedule ticks every minute and mostly skips"
    if compare_s < heartbeat_s:
        yield (
            f"PIPELINE_COMPARE_INTERVAL = {compare_s:g} s is below PIPELINE_SHADOW_HEARTBEAT_INTERVAL ="
            f" {heartbeat_s:g} s: a compare has nothing new until the next decisions are made"
        )
    if settings.compare_limit < settings.min_sample:
        yield (
            f"PIPELINE_COMPARE_SHADOW_LIMIT = {settings.compare_limit} is below PIPELINE_COMPARE_MIN_SAMPLE"
            f" = {settings.min_sample}: the summary never leaves its warmup"
        )
    if settings.run_timeout_s <= LOCK_TIMEOUT_S:
        yield (
            f"PIPELINE_V6_RUN_TIMEOUT = {settings.run_timeout_s:g} s is not above the {LOCK_TIMEOUT_S:g} s that a run"
            " waits for the log: one that waits counts as dead and is run again"
        )


def unlisted_scope(settings: Settings, limits: Limits) -> Iterator[str]:
    """Symbols that the verdict is asked for and that the universe does not list: they can never pass."""
    for symbol in settings.verdict_symbols:
        if not limits.of(symbol).is_known:
            nearest = get_close_matches(symbol, limits.symbols, n=1)
            hint = f"; the nearest listed one is {nearest[0]}" if nearest else ""
            yield (
                f"PIPELINE_VERDICT_SYMBOLS names {symbol!r}, which {settings.pairs_universe.name} does not list: v6"
                f" denies every order of it, and the verdict cannot become a PASS{hint}"
            )


def unlisted_symbols(settings: Settings, limits: Limits) -> Iterator[str]:
    """Symbols of the newest attempts that the universe does not list: v6 denies every order of them.

    Of our own shadow only: by what another producer decides, it knows.

    Raises:
        StorageError: the attempts log cannot be read.
    """
    if settings.shadow_source is ShadowSource.EXTERNAL:
        return
    attempts = map(parse_attempt, last_lines(settings.order_attempts, _TAIL_BYTES))
    symbols = Counter(attempt.symbol for attempt in attempts if isinstance(attempt, Attempt) and attempt.symbol)
    unlisted = Counter({symbol: count for symbol, count in symbols.items() if not limits.of(symbol).is_known})
    if not unlisted:
        return
    listed = {_letters(symbol): symbol for symbol in limits.symbols}
    names = [
        f"{symbol!r} (it lists {listed[_letters(symbol)]!r})" if _letters(symbol) in listed else repr(symbol)
        for symbol, _ in unlisted.most_common(_MOST_SHOWN)
    ]
    more = len(unlisted) - len(names)
    yield (
        f"{settings.pairs_universe.name}: does not list the symbols of {unlisted.total():,} of the newest"
        f" {symbols.total():,} attempts: {', '.join(names)}{f' and {more} more' if more else ''};"
        " v6 denies each as unknown_symbol until it does, spelt as the executor spells it"
    )


def _letters(symbol: str) -> str:
    """A symbol without what spellings differ in."""
    return "".join(filter(str.isalnum, symbol)).upper()


def alert_url_problems(settings: Settings) -> Iterator[str]:
    """Alert URLs that would never reach anybody. They may hold tokens: only their place and scheme are shown."""
    if not settings.alert_urls:
        return
    import logging

    from apprise import Apprise

    logger = logging.getLogger("apprise")
    level = logger.level
    # It would write the URL, with the token in it, to stderr.
    logger.setLevel(logging.CRITICAL + 1)
    try:
        for number, url in enumerate(settings.alert_urls, 1):
            if Apprise.instantiate(url) is None:
                scheme = url.partition("://")[0]
                yield (
                    f"environment: PIPELINE_V6_ALERT_URLS: URL {number} ({scheme}://...) is not one that Apprise"
                    " understands; its service or a part is misspelt"
                )
    finally:
        logger.setLevel(level)
