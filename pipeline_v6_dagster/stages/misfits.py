"""Settings that are valid one by one and do not fit together, or are not read at all."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pipeline_v6_dagster.config.settings import INTERVAL_FLOOR_S, Settings

_PREFIX = "PIPELINE_"
_MINUTE_S, _DAY_S = 60, 86_400


def unread_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Variables that look like settings and are none, with the nearest known one."""
    known = [field.alias for field in Settings.model_fields.values() if field.alias]
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
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
    if settings.lock_timeout_s >= min(heartbeat_s, compare_s):
        yield (
            f"PIPELINE_V6_LOCK_TIMEOUT = {settings.lock_timeout_s:g} s is not below the intervals: a run that waits"
            " for the log may still wait when the next one is due"
        )
    if settings.run_timeout_s <= settings.lock_timeout_s:
        yield (
            f"PIPELINE_V6_RUN_TIMEOUT = {settings.run_timeout_s:g} s is not above PIPELINE_V6_LOCK_TIMEOUT ="
            f" {settings.lock_timeout_s:g} s: a run that waits for the log counts as dead and is run again"
        )


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
