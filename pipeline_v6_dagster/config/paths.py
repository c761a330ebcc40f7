"""Where the files are: the folders that the environment names, and the name of every file in them."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Paths(BaseModel):
    """The folders of one executor and the files in them. Every path is absolute once validated."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    home: Path = Field(alias="PIPELINE_V6_HOME", description="holds `logs/` and `config/`")
    logs_dir: Path = Field(default=Path("logs"), alias="PIPELINE_V6_LOGS_DIR", description="the logs, if elsewhere")
    config_dir: Path = Field(
        default=Path("config"), alias="PIPELINE_V6_CONFIG_DIR", description="the configuration, if elsewhere"
    )
    fleet_file: Path | None = Field(
        default=None,
        alias="PIPELINE_V6_FLEET",
        description="[file that lists several executors](fleet.md); without it there is one executor",
    )

    @field_validator("home", "logs_dir", "config_dir", "fleet_file")
    @classmethod
    def _expand(cls, path: Path | None) -> Path | None:
        try:
            return path if path is None else path.expanduser()
        except RuntimeError:
            raise ValueError("names the folder of a user that does not exist") from None

    @field_validator("home", "logs_dir", "config_dir", "fleet_file")
    @classmethod
    def _is_text(cls, path: Path | None) -> Path | None:
        try:
            str(path).encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("must be a path in UTF-8, since logs and pages name it") from None
        return path

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        home = self.home.absolute()
        # The model is frozen for its users; this is the one place that completes it.
        object.__setattr__(self, "home", home)
        object.__setattr__(self, "logs_dir", home / self.logs_dir)
        object.__setattr__(self, "config_dir", home / self.config_dir)
        if self.fleet_file is not None:
            object.__setattr__(self, "fleet_file", home / self.fleet_file)
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
    def exchange_info(self) -> Path:
        return self.config_dir / "exchange_info.json"

    @property
    def ignore_rules(self) -> Path:
        return self.config_dir / "compare_ignore.json"

    @property
    def rollout_plan(self) -> Path:
        return self.config_dir / "rollout.json"

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

    @property
    def rollout_log(self) -> Path:
        return self.logs_dir / "pipeline_v6_rollout.jsonl"

    @property
    def rollout_state(self) -> Path:
        return self.logs_dir / "state" / "pipeline_v6_rollout.json"

    @property
    def verified_links(self) -> Path:
        return self.logs_dir / "state" / "pipeline_v6_verified.json"

    # Of a fleet, in the home of the environment.

    @property
    def fleet_summary(self) -> Path:
        return self.logs_dir / "state" / "pipeline_v6_fleet_summary.json"
