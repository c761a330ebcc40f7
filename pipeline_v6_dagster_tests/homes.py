"""Homes of simulated executors: real files, made by the project, for tests of what runs on top of the stages."""

from collections.abc import Callable
from pathlib import Path

from pipeline_v6_dagster.config.settings import Settings, load_settings
from pipeline_v6_dagster.simulator.executor import SimulatedExecutor
from pipeline_v6_dagster.stages.simulate.home import write_configuration, write_feed

START_TS = 1_790_000_000.0


def make_settings(home: Path, **environ: str) -> Settings:
    """Settings for `home`, with further variables by name."""
    return load_settings({"PIPELINE_V6_HOME": str(home), **environ}, home)


def simulated_home(
    home: Path,
    *,
    seconds: float = 3600.0,
    attempts_per_s: float = 0.1,
    upsize_share: float = 0.0,
    seed: int = 7,
    start_ts: float = START_TS,
    **environ: str,
) -> tuple[Settings, SimulatedExecutor]:
    """A configured home with the logs of `seconds` of trading."""
    settings = make_settings(home, **environ)
    write_configuration(settings)
    executor = SimulatedExecutor(seed, start_ts, attempts_per_s, upsize_share)
    write_feed(settings, executor.run(start_ts + seconds))
    return settings, executor


def fixed(ts: float) -> Callable[[], float]:
    """A clock that stands still."""
    return lambda: ts
