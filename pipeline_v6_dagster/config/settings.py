"""Settings from the environment: where things are, how often, how strict. Validated once, all at once."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from pipeline_v6_dagster.config.problems import problems_of
from pipeline_v6_dagster.domain.errors import ConfigError

INTERVAL_FLOOR_S = 5.0

AttributePath = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
OpenShare = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
PositiveDays = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# An alert URL may hold commas of its own: one parts two URLs only where the next begins.
_URL_PART = re.compile(r"\s+|,\s*(?=[a-zA-Z][a-zA-Z0-9+.-]*://)")
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")


class ShadowSource(StrEnum):
    """Who writes the shadow log."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Settings(BaseModel):
    """Every setting, by the environment variable that sets it. Paths are absolute once validated."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    home: Path = Field(alias="PIPELINE_V6_HOME", description="holds `logs/` and `config/`")
    logs_dir: Path = Field(default=Path("logs"), alias="PIPELINE_V6_LOGS_DIR", description="the logs, if elsewhere")
    config_dir: Path = Field(
        default=Path("config"), alias="PIPELINE_V6_CONFIG_DIR", description="the configuration, if elsewhere"
    )
    heartbeat_interval_s: PositiveSeconds = Field(
        default=600.0,
        alias="PIPELINE_SHADOW_HEARTBEAT_INTERVAL",
        description="seconds between head refreshes; below 5 it is 5",
    )
    compare_interval_s: PositiveSeconds = Field(
        default=900.0, alias="PIPELINE_COMPARE_INTERVAL", description="seconds between compares; below 5 it is 5"
    )
    min_run_spacing_s: PositiveSeconds = Field(
        default=60.0,
        alias="PIPELINE_V6_MIN_RUN_SPACING",
        description="seconds between runs of a job when new rows let it run before its interval ends; below 5 it is 5",
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
    compare_limit: Annotated[int, Field(ge=1)] = Field(
        default=500, alias="PIPELINE_COMPARE_SHADOW_LIMIT", description="how many newest diffs the summary covers"
    )
    head_limit: Annotated[int, Field(ge=1)] = Field(
        default=100, alias="PIPELINE_SHADOW_HEAD_LIMIT", description="how many newest decisions the head covers"
    )
    min_sample: Annotated[int, Field(ge=1)] = Field(
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
    order_lead_s: NonNegativeSeconds = Field(
        default=2.0,
        alias="PIPELINE_COMPARE_ORDER_LEAD",
        description="seconds by which an order may precede the logging of its attempt",
    )
    settle_grace_s: NonNegativeSeconds = Field(
        default=5.0,
        alias="PIPELINE_COMPARE_SETTLE_GRACE",
        description="seconds after a cancel or an error within which another order of the intent is waited for",
    )
    arrival_grace_s: NonNegativeSeconds = Field(
        default=0.5,
        alias="PIPELINE_COMPARE_ARRIVAL_GRACE",
        description="seconds after a fill within which its metrics row is waited for, where the executor writes them",
    )
    revision_horizon_s: NonNegativeSeconds = Field(
        default=86_400.0,
        alias="PIPELINE_COMPARE_REVISION_HORIZON",
        description="seconds within which a late order, veto or error revises a settled decision",
    )
    max_malformed_ratio: Share = Field(
        default=0.01,
        alias="PIPELINE_COMPARE_MAX_MALFORMED",
        description="share of malformed lines among the newest of a log above which the verdict is `INCONCLUSIVE`",
    )
    max_unresolved_ratio: Share = Field(
        default=0.05,
        alias="PIPELINE_COMPARE_MAX_UNRESOLVED",
        description="share of decisions without a live outcome above which it is",
    )
    max_time_pair_ratio: Share = Field(
        default=0.5,
        alias="PIPELINE_COMPARE_MAX_TIME_PAIRS",
        description="share of pairs made by time alone above which it is",
    )
    max_live_only_ratio: Share = Field(
        default=0.05,
        alias="PIPELINE_COMPARE_MAX_LIVE_ONLY",
        description="share of live orders that no decision explains above which it is",
    )
    max_unsized_ratio: Share = Field(
        default=0.05,
        alias="PIPELINE_COMPARE_MAX_UNSIZED",
        description="share of executed orders whose size cannot be compared above which it is",
    )
    max_live_age_s: PositiveSeconds = Field(
        default=86_400.0,
        alias="PIPELINE_COMPARE_MAX_LIVE_AGE",
        description="age in seconds of the newest live row above which it is",
    )
    acceptable_mismatch_ratio: OpenShare = Field(
        default=0.005,
        alias="PIPELINE_COMPARE_ACCEPTABLE_MISMATCH",
        description="share of decisions on which shadow and live may disagree",
    )
    unacceptable_mismatch_ratio: OpenShare = Field(
        default=0.02,
        alias="PIPELINE_COMPARE_UNACCEPTABLE_MISMATCH",
        description="share at which v6 must not pass",
    )
    false_fail_ratio: OpenShare = Field(
        default=0.05,
        alias="PIPELINE_COMPARE_FALSE_FAIL",
        description="how often the acceptable share may ever be called a `FAIL`",
    )
    false_pass_ratio: OpenShare = Field(
        default=0.05,
        alias="PIPELINE_COMPARE_FALSE_PASS",
        description="how often the unacceptable share may ever be called a `PASS`",
    )
    alert_urls: tuple[str, ...] = Field(
        default=(),
        alias="PIPELINE_V6_ALERT_URLS",
        repr=False,  # They hold tokens and passwords.
        description="where alerts go, besides the alert log: [Apprise](https://appriseit.com) URLs, parted by spaces",
    )
    alert_repeat_s: PositiveSeconds = Field(
        default=14_400.0,
        alias="PIPELINE_V6_ALERT_REPEAT",
        description="seconds after which a state that lasts is told again",
    )
    alert_group_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=300.0,
        alias="PIPELINE_V6_ALERT_GROUP",
        description="seconds for which further upsizes are gathered into one message",
    )
    runbook_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_RUNBOOK_URL",
        description="where checks and alerts link to; else the file `docs/runbook.md` of this checkout",
    )
    ui_url: str | None = Field(
        default=None,
        alias="PIPELINE_V6_UI_URL",
        description="address of the Dagster UI as operators reach it; alerts link to it",
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
    lock_timeout_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=30.0,
        alias="PIPELINE_V6_LOCK_TIMEOUT",
        description="seconds that a second writer of the same log waits before it leaves",
    )

    @field_validator("home", "logs_dir", "config_dir")
    @classmethod
    def _expand(cls, path: Path) -> Path:
        try:
            return path.expanduser()
        except RuntimeError:
            raise ValueError("names the folder of a user that does not exist") from None

    @field_validator("heartbeat_interval_s", "compare_interval_s", "min_run_spacing_s")
    @classmethod
    def _floor(cls, seconds: float) -> float:
        return max(seconds, INTERVAL_FLOOR_S)

    @field_validator("unacceptable_mismatch_ratio")
    @classmethod
    def _is_worse(cls, ratio: float, info: ValidationInfo) -> float:
        acceptable = info.data.get("acceptable_mismatch_ratio", 0.0)
        if ratio <= acceptable:
            raise ValueError(f"must be above PIPELINE_COMPARE_ACCEPTABLE_MISMATCH, {acceptable:g}")
        return ratio

    @field_validator("home", "logs_dir", "config_dir")
    @classmethod
    def _is_text(cls, path: Path) -> Path:
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("must be a path in UTF-8, since logs and pages name it") from None
        return path

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _split(cls, urls: object) -> object:
        return tuple(url for url in _URL_PART.split(urls) if url) if isinstance(urls, str) else urls

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

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        home = self.home.absolute()
        # The model is frozen for its users; this is the one place that completes it.
        object.__setattr__(self, "home", home)
        object.__setattr__(self, "logs_dir", home / self.logs_dir)
        object.__setattr__(self, "config_dir", home / self.config_dir)
        return self

    # Inputs, written by the executor.

    @property
    def order_attempts(self) -> Path:
        return self.logs_dir / "execution" / "orders_attempted.jsonl"

    @property
    def orders_executed(self) -> Path:
        return self.logs_dir / "execution" / "orders_executed.jsonl"

    @property
    def order_metrics(self) -> Path:
        return self.logs_dir / "execution" / "order_metrics.jsonl"

    @property
    def risk_vetoes(self) -> Path:
        return self.logs_dir / "execution" / "risk_vetoes.jsonl"

    @property
    def position_state(self) -> Path:
        return self.logs_dir / "execution" / "position_state.jsonl"

    @property
    def risk_limits(self) -> Path:
        return self.config_dir / "risk_limits.json"

    @property
    def pairs_universe(self) -> Path:
        return self.config_dir / "pairs_universe.json"

    @property
    def ignore_rules(self) -> Path:
        return self.config_dir / "compare_ignore.json"

    # Outputs, written by us.

    @property
    def shadow_log(self) -> Path:
        return self.logs_dir / "pipeline_v6_shadow.jsonl"

    @property
    def shadow_head(self) -> Path:
        return self.logs_dir / "state" / "pipeline_v6_shadow_head.json"

    @property
    def compare_diffs(self) -> Path:
        return self.logs_dir / "pipeline_v6_compare.jsonl"

    @property
    def compare_summary(self) -> Path:
        return self.logs_dir / "state" / "pipeline_v6_compare_summary.json"

    @property
    def alert_outbox(self) -> Path:
        return self.logs_dir / "pipeline_v6_alerts.jsonl"


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
        problems = problems_of(error, "environment")
        raise ConfigError([replace(each, value="") if each.key == secret else each for each in problems]) from None
