"""Settings from the environment: where things are, how often, how strict. Validated once, all at once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PrivateAttr, ValidationError, field_validator

from pipeline_v6_dagster.config.paths import Paths
from pipeline_v6_dagster.config.problems import list_problems
from pipeline_v6_dagster.domain.errors import ConfigError

INTERVAL_FLOOR_S = 5.0

AttributePath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveDays = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveCount = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
OpenShare = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
# An alert URL may hold commas of its own: one separates two URLs only where the next begins.
_URL_SEPARATOR = re.compile(r"\s+|,\s*(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")
_WEB_URL = re.compile(r"https?://[^\s/]+\S*")
_WORD_SEPARATOR = re.compile(r"[\s,]+")


class ShadowSource(StrEnum):
    """Who writes the shadow log."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Settings(Paths):
    """Every setting, by the environment variable that sets it."""

    heartbeat_interval_s: PositiveSeconds = Field(
        default=600.0,
        alias="PIPELINE_SHADOW_HEARTBEAT_INTERVAL",
        description="seconds between head refreshes; below 5 it is 5",
    )
    compare_interval_s: PositiveSeconds = Field(
        default=900.0, alias="PIPELINE_COMPARE_INTERVAL", description="seconds between compares; below 5 it is 5"
    )
    run_timeout_s: PositiveSeconds = Field(
        default=600.0,
        alias="PIPELINE_V6_RUN_TIMEOUT",
        description="seconds after which a run that has not ended counts as dead and its job runs again",
    )
    retention_days: PositiveDays = Field(
        default=14.0,
        alias="PIPELINE_V6_RETENTION_DAYS",
        description="days after which runs, their events, observations and ticks are pruned from Dagster's storage",
    )
    compare_limit: PositiveCount = Field(
        default=500, alias="PIPELINE_COMPARE_SHADOW_LIMIT", description="how many newest diffs the summary covers"
    )
    head_limit: PositiveCount = Field(
        default=100, alias="PIPELINE_SHADOW_HEAD_LIMIT", description="how many newest decisions the head covers"
    )
    min_sample: PositiveCount = Field(
        default=200, alias="PIPELINE_COMPARE_MIN_SAMPLE", description="samples below which the summary is warmup"
    )
    match_tolerance_s: PositiveSeconds = Field(
        default=900.0,
        alias="PIPELINE_COMPARE_MATCH_TOLERANCE",
        description="seconds within which a decision and an order without ids may pair",
    )
    upsize_tolerance_ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.001,
        alias="PIPELINE_COMPARE_UPSIZE_TOLERANCE",
        description="relative excess of live over shadow size that is rounding, not an upsize",
    )
    max_mismatch_ratio: OpenShare = Field(
        default=0.05,
        alias="PIPELINE_VERDICT_MAX_MISMATCH",
        description="share of decisions on which v6 and live may disagree",
    )
    verdict_error_rate: OpenShare = Field(
        default=0.05,
        alias="PIPELINE_VERDICT_ERROR_RATE",
        description="how often a worse system may ever get a `PASS`",
    )
    min_days: Days = Field(
        default=14.0, alias="PIPELINE_VERDICT_MIN_DAYS", description="days of evidence that a `PASS` needs"
    )
    min_orders: Count = Field(
        default=200, alias="PIPELINE_VERDICT_MIN_ORDERS", description="executed orders that a `PASS` needs"
    )
    min_orders_per_symbol: Count = Field(
        default=20,
        alias="PIPELINE_VERDICT_MIN_ORDERS_PER_SYMBOL",
        description="executed orders that a `PASS` needs for each symbol in scope",
    )
    verdict_symbols: tuple[str, ...] = Field(
        default=(),
        alias="PIPELINE_VERDICT_SYMBOLS",
        description="the symbols that the verdict is about, separated by commas; if empty, all that are attempted",
    )
    max_slippage_bps: tuple[float, float] = Field(
        default=(3.0, 10.0),
        alias="PIPELINE_VERDICT_MAX_SLIPPAGE_BPS",
        description="largest median and p95 of the absolute slippage difference in basis points, as `3,10`",
    )
    max_order_delay_s: PositiveSeconds = Field(
        default=60.0,
        alias="PIPELINE_VERDICT_MAX_ORDER_DELAY",
        description="largest p95 of the seconds from an attempt to its first order",
    )
    max_route_mismatch_ratio: Share | None = Field(
        default=None,
        alias="PIPELINE_VERDICT_MAX_ROUTE_MISMATCH",
        description="share of orders that may go another way than v6 would send them; if not set, it decides nothing",
    )
    alert_urls: tuple[str, ...] = Field(
        default=(),
        alias="PIPELINE_V6_ALERT_URLS",
        repr=False,  # They hold tokens and passwords.
        description="where alerts go besides the alert log: [Apprise](https://appriseit.com) URLs, separated by spaces",
    )
    alert_repeat_s: PositiveSeconds = Field(
        default=14_400.0,
        alias="PIPELINE_V6_ALERT_REPEAT",
        description="seconds after which the alert of a state that lasts is repeated",
    )
    ui_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_UI_URL",
        description="address of the Dagster UI as operators reach it; alerts link to it",
    )
    runbook_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_RUNBOOK_URL",
        description="address of `docs/runbook.html` as operators reach it, which checks and alerts link to; if not set,"
        " a check shows the entry itself",
    )
    reports_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_REPORTS_URL",
        description="address of the folder `logs/reports` as operators reach it; the UI links to the parity report",
    )
    executor_silence_s: PositiveSeconds = Field(
        default=3600.0,
        alias="PIPELINE_V6_EXECUTOR_SILENCE",
        description="seconds without an attempt after which the executor counts as silent",
    )
    shadow_source: ShadowSource = Field(
        default=ShadowSource.INTERNAL,
        alias="PIPELINE_V6_SHADOW_SOURCE",
        description="`external` where the executor writes the shadow log itself",
    )
    risk_engine: AttributePath | None = Field(
        default=None, alias="PIPELINE_V6_RISK_ENGINE", description="`module:attribute` of a desk's own risk engine"
    )
    sizer: AttributePath | None = Field(
        default=None, alias="PIPELINE_V6_SIZER", description="`module:attribute` of a desk's own sizer"
    )
    router: AttributePath | None = Field(
        default=None, alias="PIPELINE_V6_ROUTER", description="`module:attribute` of a desk's own router"
    )
    chain_key_file: Path | None = Field(
        default=None,
        alias="PIPELINE_V6_CHAIN_KEY_FILE",
        description="file with the key of the hash chain, at least 16 bytes; else the chain has no key",
    )

    history_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_HISTORY_URL",
        description="folder or object storage (`s3://bucket/path`) of the history; else `history` in the logs",
    )

    # Its name in the fleet file. No setting of its own: it is how the table is named.
    _executor: str | None = PrivateAttr(default=None)

    @property
    def executor(self) -> str | None:
        """The name of the executor in the fleet; None without a fleet."""
        return self._executor

    def for_executor(self, name: str) -> Self:
        """The same settings as those of the executor `name` of a fleet."""
        named = self.model_copy()
        named._executor = name
        return named

    @property
    def history_location(self) -> str:
        """Where the history is: a folder or a URL."""
        if self.history_url is None:
            return str(self.logs_dir / "history")
        return self.history_url if "://" in self.history_url else str(self.home / self.history_url)

    @property
    def max_slippage_p50_bps(self) -> float:
        """The largest median of the absolute slippage difference, in basis points."""
        return self.max_slippage_bps[0]

    @property
    def max_slippage_p95_bps(self) -> float:
        """The largest 95th percentile of the absolute slippage difference, in basis points."""
        return self.max_slippage_bps[1]

    @field_validator("heartbeat_interval_s", "compare_interval_s")
    @classmethod
    def _floor(cls, seconds: float) -> float:
        return max(seconds, INTERVAL_FLOOR_S)

    @field_validator("max_slippage_bps", mode="before")
    @classmethod
    def _parse_slippage(cls, given: object) -> tuple[float, float]:
        parts = given.split(",") if isinstance(given, str) else given
        if not isinstance(parts, list | tuple):
            parts = [parts]
        refusal = "must be two numbers of basis points, the median and a p95 not below it, as 3,10"
        try:
            median_bps, p95_bps = map(float, parts)
        except (TypeError, ValueError):
            raise ValueError(refusal) from None
        if not (isfinite(p95_bps) and 0 < median_bps <= p95_bps):
            raise ValueError(refusal)
        return median_bps, p95_bps

    @field_validator("verdict_symbols", mode="before")
    @classmethod
    def _split_symbols(cls, symbols: object) -> object:
        if not isinstance(symbols, str):
            return symbols
        return tuple(dict.fromkeys(symbol for symbol in _WORD_SEPARATOR.split(symbols) if symbol))

    @field_validator("history_url")
    @classmethod
    def _is_place(cls, place: str | None) -> str | None:
        if place is None:
            return None
        scheme, separator, rest = place.strip().partition("://")
        if separator and (not scheme or not rest or "@" in rest.partition("/")[0]):
            raise ValueError("must be a folder or a URL without a password, as s3://bucket/history")
        try:
            return place.strip() if separator else str(Path(place.strip()).expanduser())
        except RuntimeError:
            raise ValueError("names the folder of a user that does not exist") from None

    @field_validator("ui_url", "reports_url")
    @classmethod
    def _is_web_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not _WEB_URL.fullmatch(url.strip()):
            raise ValueError("must be an http or https address, as https://dagster.example.com")
        return url.strip().rstrip("/")

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split_urls(cls, urls: object) -> object:
        return tuple(url for url in _URL_SEPARATOR.split(urls) if url) if isinstance(urls, str) else urls

    @field_validator("alert_urls")
    @classmethod
    def _are_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [number for number, url in enumerate(urls, 1) if not _URL.fullmatch(url)]
        if wrong:
            places = " and ".join(map(str, wrong))
            raise ValueError(
                f"URL {places} of {len(urls)} has no scheme or nothing after it; as in mailtos://user:password@example.com"
            )
        return urls


def load_settings(environ: Mapping[str, str], cwd: Path) -> Settings:
    """Settings from `environ`; `cwd` is the home where none is named. An empty variable counts as not set.

    Raises:
        ConfigError: naming every variable that cannot be used.
    """
    names = {field.alias for field in Settings.model_fields.values() if field.alias}
    given: dict[str, object] = {name: environ[name] for name in names if environ.get(name, "").strip()}
    home = environ.get("PIPELINE_V6_HOME", "").strip()
    # A `~` stays at the front, where the field expands it.
    given["PIPELINE_V6_HOME"] = home if home.startswith("~") else cwd / home
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        secret = Settings.model_fields["alert_urls"].alias
        problems = list_problems(error, "environment")
        raise ConfigError([replace(each, value="") if each.key == secret else each for each in problems]) from None
