"""What is dropped into the folder `defs` is loaded, without being listed anywhere."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

import pipeline_v6_dagster.defs.assets
from pipeline_v6_dagster.definitions import build_defs
from pipeline_v6_dagster_tests.homes import make_settings

NAME = "pipeline_v6_dagster.defs.assets.my_asset"
MODULE = """
import dagster as dg

_private = dg.AssetSpec("private")


@dg.asset
def my_asset() -> None: ...


@dg.asset_check(asset=my_asset)
def my_check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


my_job = dg.define_asset_job("my_job", selection=[my_asset])


@dg.sensor(job=my_job)
def my_sensor() -> None: ...


@dg.schedule(job=my_job, cron_schedule="0 0 * * *")
def my_schedule() -> dict: ...


def build(settings, clock):
    return dg.Definitions(assets=[dg.AssetSpec("made_for", metadata={"home": str(settings.home), "at": clock()})])
"""


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], dg.Definitions]]:
    """Puts a module into `defs/assets` and builds the definitions."""
    folder = tmp_path / "assets"
    folder.mkdir()
    paths = pipeline_v6_dagster.defs.assets.__path__
    monkeypatch.setattr(pipeline_v6_dagster.defs.assets, "__path__", [*paths, str(folder)])

    def drop(text: str) -> dg.Definitions:
        (folder / "my_asset.py").write_text(text)
        return build_defs(make_settings(tmp_path), lambda: 7.0)

    yield drop
    sys.modules.pop(NAME, None)


def test_every_object_of_a_dropped_module_appears(dropped: Callable[[str], dg.Definitions], tmp_path: Path) -> None:
    defs = dropped(MODULE)
    graph = defs.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"my_asset", "made_for", "shadow_log"} <= names
    assert "private" not in names
    assert dg.AssetCheckKey(dg.AssetKey("my_asset"), "my_check") in graph.asset_check_keys
    assert graph.get(dg.AssetKey("made_for")).metadata == {"home": str(tmp_path), "at": 7.0}
    repository = defs.get_repository_def()
    assert repository.has_job("my_job")
    assert repository.has_sensor_def("my_sensor") and repository.has_schedule_def("my_schedule")


def test_a_module_that_cannot_be_imported_is_not_left_out_silently(dropped: Callable[[str], dg.Definitions]) -> None:
    with pytest.raises(ZeroDivisionError):
        dropped("1 / 0")
