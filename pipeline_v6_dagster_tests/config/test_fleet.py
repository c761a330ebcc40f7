from pathlib import Path

import pytest

from pipeline_v6_dagster.config.fleet import Fleet, load_fleet
from pipeline_v6_dagster.config.settings import Settings, ShadowSource
from pipeline_v6_dagster.domain.errors import ConfigError, StorageError
from pipeline_v6_dagster_tests.fleets import fleet_settings
from pipeline_v6_dagster_tests.homes import make_settings


def written(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return make_settings(folder, PIPELINE_V6_FLEET=str(path), **environ)


def refused(folder: Path, text: str) -> list[str]:
    """What is said of each bad value, by its key."""
    with pytest.raises(ConfigError) as raised:
        load_fleet(written(folder, text))
    return [f"{problem.key}: {problem.allowed}" for problem in raised.value.problems]


def loaded(folder: Path, text: str, **environ: str) -> Fleet:
    return load_fleet(written(folder, text, **environ))


def test_an_executor_has_its_own_folders_host_labels_and_settings(tmp_path: Path) -> None:
    fleet = loaded(
        tmp_path,
        """
        [executors.alpha]
        home = "/srv/alpha"
        logs_dir = "/var/log/alpha"
        config_dir = "conf"
        shadow_source = "external"
        host = "trade-1.example.com"
        labels = { venue = "binance" }
        compare_interval_s = 300
        PIPELINE_VERDICT_MIN_DAYS = 7
        verdict_symbols = ["BTCUSDT"]
        """,
    )
    alpha = fleet.executor("alpha")
    settings = alpha.settings
    assert (settings.home, settings.logs_dir) == (Path("/srv/alpha"), Path("/var/log/alpha"))
    assert settings.config_dir == Path("/srv/alpha/conf")
    assert settings.shadow_source is ShadowSource.EXTERNAL
    assert (settings.compare_interval_s, settings.min_days, settings.verdict_symbols) == (300, 7, ("BTCUSDT",))
    assert settings.executor == alpha.name == "alpha"
    assert (alpha.host, alpha.labels, alpha.queue) == (
        "trade-1.example.com",
        {"venue": "binance"},
        "pipeline_v6.trade-1.example.com",
    )


def test_what_a_table_does_not_set_comes_from_the_environment_but_for_folders_and_channels(tmp_path: Path) -> None:
    fleet = loaded(
        tmp_path,
        '[executors.alpha]\nhome = "a"\n[executors.beta]\nhome = "b"\nPIPELINE_COMPARE_INTERVAL = 60',
        PIPELINE_COMPARE_INTERVAL="120",
        PIPELINE_VERDICT_MAX_SLIPPAGE_BPS="1,2",
        PIPELINE_V6_LOGS_DIR="/elsewhere",
        PIPELINE_V6_ALERT_URLS="json://user:secret@example.com",
        PIPELINE_V6_UI_URL="https://dagster.example.com",
    )
    alpha, beta = (fleet.executor(name).settings for name in ("alpha", "beta"))
    assert (alpha.compare_interval_s, beta.compare_interval_s) == (120, 60)
    assert alpha.max_slippage_bps == (1.0, 2.0)
    assert (alpha.home, alpha.logs_dir) == (tmp_path / "a", tmp_path / "a" / "logs")
    assert alpha.alert_urls == ()
    assert alpha.ui_url == "https://dagster.example.com"
    assert fleet.executor("alpha").queue == "pipeline_v6"


def test_every_bad_value_of_the_file_is_named_at_once(tmp_path: Path) -> None:
    assert refused(
        tmp_path,
        """
        version = 1
        [executors.alpha]
        home = "a"
        compare_interval_s = -1
        PIPELINE_VERDICT_MIN_DAYS = "many"
        [executors."a/b"]
        home = "b"
        [executors.gamma]
        host = "a b"
        hoem = "/srv"
        labels = { executor = "x", y = 3 }
        alert_urls = "json://user:secret@example.com"
        [executors.GAMMA]
        home = "c"
        """,
    ) == [
        "version: is not known; the file holds [executors.NAME] tables",
        "executors.alpha.compare_interval_s: must be greater than 0",
        "executors.alpha.PIPELINE_VERDICT_MIN_DAYS: must be a valid number, unable to parse string as a number",
        "executors.'a/b': a name has 1 to 63 letters, digits, - and _, and begins with a letter or a digit",
        "executors.gamma.hoem: no setting has this name; the nearest known one is home",
        "executors.gamma.alert_urls: belongs to the whole fleet; set PIPELINE_V6_ALERT_URLS instead",
        "executors.gamma.host: must be the name of a host: letters, digits, - and .",
        "executors.gamma.labels.'executor': a label has lower-case letters, digits and _, begins with no digit, and is"
        " not executor or host",
        "executors.gamma.labels.y: must be a text of one line",
        "executors.gamma.home: is missing; name the folder that holds logs/ and config/",
        "executors.GAMMA: differs from gamma in case alone; rename one of them",
    ]


def test_a_secret_in_the_file_is_not_repeated_in_the_error(tmp_path: Path) -> None:
    text = '[executors.alpha]\nhome = "a"\nPIPELINE_V6_ALERT_URLS = "json://user:token@example.com"'
    with pytest.raises(ConfigError) as raised:
        load_fleet(written(tmp_path, text))
    assert "token" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[executors]", "executors = 3"])
def test_a_file_without_executors_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text) == ["executors: lists no executor; add a table [executors.NAME]"]


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "[executors.alpha\n")
    assert "is no valid TOML" in problem
    assert "line 1" in problem


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"fleet\.toml: cannot be read: No such file"):
        load_fleet(make_settings(tmp_path, PIPELINE_V6_FLEET="fleet.toml"))


def test_a_setting_is_set_once(tmp_path: Path) -> None:
    text = '[executors.alpha]\nhome = "a"\ncompare_interval_s = 60\nPIPELINE_COMPARE_INTERVAL = 90'
    assert refused(tmp_path, text) == [
        "executors.alpha.PIPELINE_COMPARE_INTERVAL: is set twice, as compare_interval_s as well; keep one of them"
    ]


@pytest.mark.parametrize("key", ["home", "PIPELINE_V6_HOME", "logs_dir"])
@pytest.mark.parametrize("empty", ["", "  "])
def test_a_folder_without_a_name_is_refused_with_its_key(tmp_path: Path, key: str, empty: str) -> None:
    home = "" if "home" in key.lower() else 'home = "a"'
    text = f'[executors.alpha]\n{home}\n{key} = "{empty}"'
    assert refused(tmp_path, text) == [f"executors.alpha.{key}: must name a folder"]


def test_two_executors_of_a_host_do_not_share_their_logs(tmp_path: Path) -> None:
    text = '[executors.alpha]\nhome = "/srv/a"\n[executors.beta]\nhome = "/srv/b"\nlogs_dir = "/srv/a/logs"'
    assert refused(tmp_path, text) == [
        "executors.beta.logs_dir: is the folder of alpha as well; each executor needs its own"
    ]


@pytest.mark.parametrize(("home", "host"), [("{0}/link", ""), ("/srv/other/../a", 'host = "east"')])
def test_one_folder_of_logs_by_two_names_is_shared_as_well(tmp_path: Path, home: str, host: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    first = "/srv/a" if host else f"{tmp_path}/a"
    text = f'[executors.alpha]\nhome = "{first}"\n{host}\n[executors.beta]\nhome = "{home.format(tmp_path)}"\n{host}'
    assert refused(tmp_path, text) == [
        "executors.beta.logs_dir: is the folder of alpha as well; each executor needs its own"
    ]


def test_two_hosts_may_keep_their_logs_in_folders_of_the_same_name(tmp_path: Path) -> None:
    base = fleet_settings(
        tmp_path, {"alpha": ['home = "/srv/bot"', 'host = "east"'], "beta": ['home = "/srv/bot"', 'host = "west"']}
    )
    assert list(load_fleet(base).executors) == ["alpha", "beta"]


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, '[executors.alpha]\nhome = "a"')
    with pytest.raises(ConfigError, match=r"executors\.alpha-2: lists no such executor; did you mean alpha\?"):
        fleet.executor("alpha-2")


@pytest.mark.parametrize(
    ("host", "hostname", "is_on"),
    [
        (None, "any", True),
        ("trade-1", "trade-1", True),
        ("trade-1", "trade-1.example.com", True),
        ("trade-1.example.com", "trade-1.example.com", True),
        ("trade-1.example.com", "trade-1", False),
        ("trade-1", "trade-10", False),
    ],
)
def test_a_machine_sees_the_executors_of_its_own_host(
    tmp_path: Path, host: str | None, hostname: str, is_on: bool
) -> None:
    lines = [] if host is None else [f'host = "{host}"']
    fleet = load_fleet(fleet_settings(tmp_path, {"alpha": lines}))
    assert fleet.executor("alpha").is_on(hostname) is is_on


def test_a_fleet_has_one_history_in_the_home_of_the_environment_or_where_it_says(tmp_path: Path) -> None:
    text = '[executors.alpha]\nhome = "alpha"\n[executors.beta]\nhome = "beta"\n'
    for environ, location in (
        ({}, str(tmp_path / "logs" / "history")),
        ({"PIPELINE_V6_HISTORY_URL": "s3://desk/history"}, "s3://desk/history"),
    ):
        executors = loaded(tmp_path, text, **environ).executors
        assert {each.settings.history_location for each in executors.values()} == {location}
    (problem,) = refused(tmp_path, '[executors.alpha]\nhome = "alpha"\nhistory_url = "s3://other/history"\n')
    assert "belongs to the whole fleet; set PIPELINE_V6_HISTORY_URL instead" in problem
