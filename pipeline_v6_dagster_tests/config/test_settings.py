from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_v6_dagster.config.settings import Settings, ShadowSource, load_settings
from pipeline_v6_dagster.domain.errors import ConfigError
from pipeline_v6_dagster_tests.builders import unhurried

CWD = Path("/srv/bot")

DEFAULTS = {
    "home": CWD,
    "logs_dir": CWD / "logs",
    "config_dir": CWD / "config",
    "fleet_file": None,
    "heartbeat_interval_s": 600.0,
    "compare_interval_s": 900.0,
    "run_timeout_s": 600.0,
    "retention_days": 14.0,
    "compare_limit": 500,
    "head_limit": 100,
    "min_sample": 200,
    "match_tolerance_s": 900.0,
    "upsize_tolerance_ratio": 0.001,
    "max_mismatch_ratio": 0.05,
    "verdict_error_rate": 0.05,
    "min_days": 14.0,
    "min_orders": 200,
    "min_orders_per_symbol": 20,
    "verdict_symbols": (),
    "max_slippage_bps": (3.0, 10.0),
    "max_order_delay_s": 60.0,
    "max_route_mismatch_ratio": None,
    "alert_urls": (),
    "alert_repeat_s": 14_400.0,
    "ui_url": None,
    "runbook_url": None,
    "reports_url": None,
    "executor_silence_s": 3600.0,
    "shadow_source": ShadowSource.INTERNAL,
    "risk_engine": None,
    "sizer": None,
    "router": None,
    "chain_key_file": None,
    "history_url": None,
}

GIVEN = [
    ("PIPELINE_SHADOW_HEARTBEAT_INTERVAL", "60", "heartbeat_interval_s", 60.0),
    ("PIPELINE_COMPARE_INTERVAL", " 7.5 ", "compare_interval_s", 7.5),
    ("PIPELINE_V6_RUN_TIMEOUT", "45", "run_timeout_s", 45.0),
    ("PIPELINE_V6_RETENTION_DAYS", "0.5", "retention_days", 0.5),
    ("PIPELINE_COMPARE_SHADOW_LIMIT", "1", "compare_limit", 1),
    ("PIPELINE_SHADOW_HEAD_LIMIT", "7", "head_limit", 7),
    ("PIPELINE_COMPARE_MIN_SAMPLE", "25", "min_sample", 25),
    ("PIPELINE_COMPARE_MATCH_TOLERANCE", "0.5", "match_tolerance_s", 0.5),
    ("PIPELINE_COMPARE_UPSIZE_TOLERANCE", "0", "upsize_tolerance_ratio", 0.0),
    ("PIPELINE_VERDICT_MAX_MISMATCH", "0.02", "max_mismatch_ratio", 0.02),
    ("PIPELINE_VERDICT_ERROR_RATE", "0.01", "verdict_error_rate", 0.01),
    ("PIPELINE_VERDICT_MIN_DAYS", "0.5", "min_days", 0.5),
    ("PIPELINE_VERDICT_MIN_ORDERS", "0", "min_orders", 0),
    ("PIPELINE_VERDICT_MIN_ORDERS_PER_SYMBOL", "5", "min_orders_per_symbol", 5),
    ("PIPELINE_VERDICT_SYMBOLS", " BTCUSDT, ETHUSDT BTCUSDT,", "verdict_symbols", ("BTCUSDT", "ETHUSDT")),
    ("PIPELINE_VERDICT_MAX_SLIPPAGE_BPS", " 2.5 , 8", "max_slippage_bps", (2.5, 8.0)),
    ("PIPELINE_VERDICT_MAX_ORDER_DELAY", "1.5", "max_order_delay_s", 1.5),
    ("PIPELINE_VERDICT_MAX_ROUTE_MISMATCH", "0", "max_route_mismatch_ratio", 0.0),
    (
        "PIPELINE_V6_ALERT_URLS",
        "slack://a, json://b\n mailto://c",
        "alert_urls",
        ("slack://a", "json://b", "mailto://c"),
    ),
    ("PIPELINE_V6_ALERT_REPEAT", "60", "alert_repeat_s", 60.0),
    ("PIPELINE_V6_UI_URL", " https://ops.example.com/dagster/ ", "ui_url", "https://ops.example.com/dagster"),
    ("PIPELINE_V6_RUNBOOK_URL", "https://desk/runbook", "runbook_url", "https://desk/runbook"),
    ("PIPELINE_V6_REPORTS_URL", "https://desk/reports/", "reports_url", "https://desk/reports"),
    ("PIPELINE_V6_EXECUTOR_SILENCE", "900", "executor_silence_s", 900.0),
    ("PIPELINE_V6_SHADOW_SOURCE", "external", "shadow_source", ShadowSource.EXTERNAL),
    ("PIPELINE_V6_RISK_ENGINE", "desk.risk:Engine", "risk_engine", "desk.risk:Engine"),
    ("PIPELINE_V6_SIZER", "desk:make.sizer", "sizer", "desk:make.sizer"),
    ("PIPELINE_V6_ROUTER", "_desk:router_2", "router", "_desk:router_2"),
    ("PIPELINE_V6_HISTORY_URL", " s3://bucket/history ", "history_url", "s3://bucket/history"),
    ("PIPELINE_V6_CHAIN_KEY_FILE", "/etc/pipeline/key", "chain_key_file", Path("/etc/pipeline/key")),
    ("PIPELINE_V6_HOME", "/data/bot", "home", Path("/data/bot")),
    ("PIPELINE_V6_LOGS_DIR", "/data/logs", "logs_dir", Path("/data/logs")),
    ("PIPELINE_V6_CONFIG_DIR", "/data/config", "config_dir", Path("/data/config")),
    ("PIPELINE_V6_FLEET", "/data/fleet.toml", "fleet_file", Path("/data/fleet.toml")),
]

BAD = [
    *(
        (interval, value)
        for interval in (
            "PIPELINE_SHADOW_HEARTBEAT_INTERVAL",
            "PIPELINE_COMPARE_INTERVAL",
            "PIPELINE_COMPARE_MATCH_TOLERANCE",
            "PIPELINE_V6_RUN_TIMEOUT",
            "PIPELINE_V6_RETENTION_DAYS",
            "PIPELINE_V6_ALERT_REPEAT",
            "PIPELINE_V6_EXECUTOR_SILENCE",
            "PIPELINE_VERDICT_MAX_ORDER_DELAY",
        )
        for value in ("0", "-1", "-0.0", "nan", "inf", "1e999", "soon", "5 s", "True")
    ),
    *(
        (count, value)
        for count in ("PIPELINE_COMPARE_SHADOW_LIMIT", "PIPELINE_SHADOW_HEAD_LIMIT", "PIPELINE_COMPARE_MIN_SAMPLE")
        for value in ("0", "-5", "1.5", "nan", "many")
    ),
    ("PIPELINE_COMPARE_UPSIZE_TOLERANCE", "-0.001"),
    ("PIPELINE_COMPARE_UPSIZE_TOLERANCE", "nan"),
    *(
        (f"PIPELINE_VERDICT_{name}", value)
        for name in ("MAX_MISMATCH", "ERROR_RATE")
        for value in ("0", "1", "nan", "2", "5 %")
    ),
    *(("PIPELINE_VERDICT_MAX_ROUTE_MISMATCH", value) for value in ("-0.1", "1.1", "nan", "5 %")),
    *(("PIPELINE_VERDICT_MIN_DAYS", value) for value in ("-1", "nan", "inf", "soon")),
    *(
        (f"PIPELINE_VERDICT_{name}", value)
        for name in ("MIN_ORDERS", "MIN_ORDERS_PER_SYMBOL")
        for value in ("-1", "1.5", "nan", "many")
    ),
    *(
        ("PIPELINE_VERDICT_MAX_SLIPPAGE_BPS", value)
        for value in ("3", "3,", "3,10,20", "10,3", "0,3", "-1,3", "nan,10", "3,inf", "3;10", "few, many")
    ),
    *(("PIPELINE_V6_HISTORY_URL", value) for value in ("s3://", "://x", "s3://key:word@bucket/x", "~nobody_here/x")),
    *(("PIPELINE_V6_UI_URL", value) for value in ("ops.example.com", "ftp://ops", "http://", "https:// ops")),
    ("PIPELINE_V6_SHADOW_SOURCE", "both"),
    ("PIPELINE_V6_HOME", "~nobody-has-this-name/x"),
    ("PIPELINE_V6_LOGS_DIR", "~nobody-has-this-name"),
    ("PIPELINE_V6_CONFIG_DIR", "~nobody-has-this-name"),
]


def load(**environ: str) -> Settings:
    return load_settings(environ, CWD)


def refusal(**environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return caught.value


def test_without_variables_every_setting_has_its_default() -> None:
    assert load().model_dump() == DEFAULTS


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_variable_counts_as_not_set(empty: str) -> None:
    names = [field.alias for field in Settings.model_fields.values() if field.alias]
    assert load(**dict.fromkeys(names, empty)).model_dump() == DEFAULTS


@pytest.mark.parametrize(("name", "text", "field", "value"), GIVEN)
def test_a_variable_sets_its_field_and_no_unrelated_one(name: str, text: str, field: str, value: Any) -> None:
    changed = {field: value}
    if name == "PIPELINE_V6_HOME":
        changed |= {"logs_dir": value / "logs", "config_dir": value / "config"}
    assert load(**{name: text}).model_dump() == DEFAULTS | changed


def test_every_field_is_set_by_a_variable_that_is_tested_above() -> None:
    aliases = {name: field.alias for name, field in Settings.model_fields.items()}
    assert {field: name for name, _, field, _ in GIVEN} == aliases


@pytest.mark.parametrize("name", ["PIPELINE_SHADOW_HEARTBEAT_INTERVAL", "PIPELINE_COMPARE_INTERVAL"])
@pytest.mark.parametrize(("text", "seconds"), [("0.001", 5.0), ("4.99", 5.0), ("5", 5.0), ("5.01", 5.01)])
def test_an_interval_below_the_floor_is_the_floor(name: str, text: str, seconds: float) -> None:
    settings = load(**{name: text})
    chosen = {
        "PIPELINE_SHADOW_HEARTBEAT_INTERVAL": settings.heartbeat_interval_s,
        "PIPELINE_COMPARE_INTERVAL": settings.compare_interval_s,
    }
    assert chosen.pop(name) == seconds
    assert all(other >= 600 for other in chosen.values())


def test_the_slippage_limits_are_one_variable_of_two_numbers() -> None:
    settings = load(PIPELINE_VERDICT_MAX_SLIPPAGE_BPS="4,4")
    assert (settings.max_slippage_p50_bps, settings.max_slippage_p95_bps) == (4.0, 4.0)


def test_there_are_about_thirty_settings() -> None:
    assert len(Settings.model_fields) <= 34


def test_the_match_tolerance_has_no_floor() -> None:
    assert load(PIPELINE_COMPARE_MATCH_TOLERANCE="0.1").match_tolerance_s == 0.1


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_named_with_its_key_and_what_is_allowed(name: str, value: str) -> None:
    (problem,) = refusal(**{name: value}).problems
    assert problem.where == "environment"
    assert problem.key == name
    assert problem.value == repr(value)
    assert problem.allowed.startswith(("must be ", "names "))


@pytest.mark.parametrize("urls", ["hunter2", "json://host slack:/tokenA/tokenB", "://x"])
def test_an_alert_url_that_is_none_is_refused_without_showing_it(urls: str) -> None:
    error = refusal(PIPELINE_V6_ALERT_URLS=urls)
    assert "has no scheme" in str(error)
    assert not any(secret in str(error) for secret in ("hunter2", "tokenA", "host", "//x"))


def test_every_alert_url_that_is_none_is_counted() -> None:
    assert "URL 2 and 3 of 4 has no scheme" in str(refusal(PIPELINE_V6_ALERT_URLS="json://a slack:// b json://c"))


def test_a_comma_within_an_alert_url_belongs_to_it() -> None:
    urls = "mailtos://me:pw@host?to=a@x.io,b@x.io,json://host/hook"
    assert load(PIPELINE_V6_ALERT_URLS=urls).alert_urls == ("mailtos://me:pw@host?to=a@x.io,b@x.io", "json://host/hook")


def test_settings_do_not_show_the_alert_urls() -> None:
    assert "hunter2" not in repr(load(PIPELINE_V6_ALERT_URLS="json://me:hunter2@host"))


def test_all_bad_values_stand_in_one_error_of_one_line() -> None:
    bad = {
        "PIPELINE_COMPARE_INTERVAL": "-3",
        "PIPELINE_COMPARE_MIN_SAMPLE": "few",
        "PIPELINE_V6_SHADOW_SOURCE": "both",
        "PIPELINE_V6_LOGS_DIR": "~nobody-has-this-name",
    }
    error = refusal(PIPELINE_SHADOW_HEAD_LIMIT="9", **bad)
    assert {problem.key: problem.value for problem in error.problems} == {key: repr(text) for key, text in bad.items()}
    text = str(error)
    assert "PIPELINE_COMPARE_INTERVAL = '-3': must be greater than 0" in text
    assert "'internal' or 'external'" in text
    assert "PIPELINE_SHADOW_HEAD_LIMIT" not in text
    assert "\n" not in text
    assert error.exit_code == 65


def test_a_relative_home_is_below_the_current_directory() -> None:
    assert load(PIPELINE_V6_HOME="data").logs_dir == CWD / "data" / "logs"


def test_a_relative_override_is_below_the_home() -> None:
    settings = load(PIPELINE_V6_HOME="/data", PIPELINE_V6_LOGS_DIR="var/logs", PIPELINE_V6_CONFIG_DIR="../etc")
    assert settings.logs_dir == Path("/data/var/logs")
    assert settings.config_dir == Path("/data/../etc")


def test_a_tilde_is_the_users_own_folder_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ops")
    settings = load(PIPELINE_V6_HOME="~/bot", PIPELINE_V6_LOGS_DIR="~/logs", PIPELINE_V6_CONFIG_DIR="~")
    assert settings.home == Path("/home/ops/bot")
    assert settings.logs_dir == Path("/home/ops/logs")
    assert settings.config_dir == Path("/home/ops")


@pytest.mark.parametrize("name", ["PIPELINE_V6_HOME", "PIPELINE_V6_LOGS_DIR", "PIPELINE_V6_CONFIG_DIR"])
def test_a_path_that_no_log_could_name_is_refused(name: str) -> None:
    # How Python shows a byte of the environment that is not UTF-8.
    with pytest.raises(ConfigError, match=f"{name} = '/srv/.udcff': must be a path in UTF-8"):
        load_settings({name: "/srv/\udcff"}, Path("/cwd"))
    with pytest.raises(ConfigError, match="PIPELINE_V6_HOME"):
        load_settings({}, Path("/srv/\udcff"))


def test_an_override_of_one_folder_leaves_the_other_at_home() -> None:
    settings = load(PIPELINE_V6_LOGS_DIR="/var/log/bot")
    assert settings.order_attempts == Path("/var/log/bot/execution/orders_attempted.jsonl")
    assert settings.shadow_log == Path("/var/log/bot/pipeline_v6_shadow.jsonl")
    assert settings.compare_summary == Path("/var/log/bot/state/pipeline_v6_compare_summary.json")
    assert settings.risk_limits == CWD / "config" / "risk_limits.json"


def test_files_have_the_names_of_the_contract() -> None:
    settings = load()
    names = {
        "order_attempts": "logs/execution/orders_attempted.jsonl",
        "orders_executed": "logs/execution/orders_executed.jsonl",
        "order_metrics": "logs/execution/order_metrics.jsonl",
        "risk_vetoes": "logs/execution/risk_vetoes.jsonl",
        "position_state": "logs/execution/position_state.jsonl",
        "risk_limits": "config/risk_limits.json",
        "pairs_universe": "config/pairs_universe.json",
        "shadow_log": "logs/pipeline_v6_shadow.jsonl",
        "shadow_head": "logs/state/pipeline_v6_shadow_head.json",
        "compare_diffs": "logs/pipeline_v6_compare.jsonl",
        "compare_summary": "logs/state/pipeline_v6_compare_summary.json",
        "alert_outbox": "logs/pipeline_v6_alerts.jsonl",
    }
    assert {role: getattr(settings, role) for role in names} == {role: CWD / name for role, name in names.items()}


ENVIRONMENT_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@unhurried
@given(st.dictionaries(st.sampled_from([name for name, *_ in GIVEN]), ENVIRONMENT_TEXT | st.sampled_from("~059-.")))
def test_any_environment_gives_settings_or_an_error_that_names_a_variable_of_it(environ: dict[str, str]) -> None:
    try:
        settings = load_settings(environ, CWD)
    except ConfigError as error:
        assert {problem.key for problem in error.problems} <= environ.keys()
    else:
        assert min(settings.heartbeat_interval_s, settings.compare_interval_s) >= 5
        assert settings.logs_dir.is_absolute()
        assert settings.config_dir.is_absolute()


def test_the_history_is_in_the_logs_or_where_the_setting_says() -> None:
    assert load().history_location == str(CWD / "logs" / "history")
    assert load(PIPELINE_V6_HISTORY_URL="deep/history").history_location == str(CWD / "deep" / "history")
    assert load(PIPELINE_V6_HISTORY_URL="/srv/history").history_location == "/srv/history"
    assert load(PIPELINE_V6_HISTORY_URL="gs://desk/history").history_location == "gs://desk/history"
