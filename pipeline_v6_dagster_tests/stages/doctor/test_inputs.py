"""The inputs as they are now."""

from pathlib import Path

from pipeline_v6_dagster.stages.doctor.inputs import combine_versions, observe_input, observe_inputs, observed_names
from pipeline_v6_dagster_tests.homes import START_TS, make_settings, simulated_home

NOW = START_TS + 700


def test_every_input_is_told_with_size_age_and_version(tmp_path: Path) -> None:
    settings, _ = simulated_home(tmp_path, seconds=600)
    states = {state.name: state for state in observe_inputs(settings, NOW)}
    assert tuple(states) == observed_names(settings)
    for name in ("order_attempts", "orders_executed", "order_metrics"):
        state = states[name]
        assert state.size_bytes == state.path.stat().st_size
        assert state.newest_ts is not None and START_TS < state.newest_ts <= START_TS + 600
        assert state.age_s == NOW - state.newest_ts
        assert state.version is not None
    limits = states["risk_limits"]
    assert limits.newest_ts == limits.path.stat().st_mtime


def test_an_input_that_is_not_there_has_no_figures(tmp_path: Path) -> None:
    for state in observe_inputs(make_settings(tmp_path), NOW):
        assert (state.size_bytes, state.newest_ts, state.age_s, state.version) == (None, None, None, None)


def test_a_shadow_log_of_another_program_is_an_input(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, PIPELINE_V6_SHADOW_SOURCE="external")
    settings.shadow_log.parent.mkdir(parents=True)
    settings.shadow_log.write_text(f'{{"timestamp": {START_TS}}}\n')
    assert observed_names(settings)[-1] == "shadow_log"
    assert observe_input(settings, "shadow_log", NOW).age_s == 700


def test_versions_change_when_one_of_the_files_does(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    versions = [combine_versions((first, second))]
    second.write_text("1")
    versions.append(combine_versions((first, second)))
    first.write_text("1")
    versions.append(combine_versions((first, second)))
    assert len(set(versions)) == 3
    assert combine_versions((first, second)) == versions[-1]
