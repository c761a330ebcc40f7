"""Fleets of simulated executors: a file and their homes, made by the project."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline_v6_dagster.config.fleet import Fleet, load_fleet
from pipeline_v6_dagster.config.settings import Settings
from pipeline_v6_dagster_tests.homes import make_settings


def write_fleet(folder: Path, tables: Mapping[str, Iterable[str]]) -> Path:
    """The fleet file in `folder`: for each executor the lines of its table, and a home of its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "fleet.toml"
    parts = ["\n".join([f"[executors.{name}]", *_home_line(name, lines), *lines]) for name, lines in tables.items()]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _home_line(name: str, lines: Iterable[str]) -> list[str]:
    return [] if any(line.startswith("home") for line in lines) else [f'home = "{name}"']


def fleet_settings(folder: Path, tables: Mapping[str, Iterable[str]], **environ: str) -> Settings:
    """The settings of an environment that names the fleet of these tables; `folder` is its home."""
    return make_settings(folder, PIPELINE_V6_FLEET=str(write_fleet(folder, tables)), **environ)


def make_fleet(folder: Path, names: Iterable[str], **environ: Any) -> tuple[Settings, Fleet]:
    """A fleet of executors without settings of their own."""
    base = fleet_settings(folder, {name: [] for name in names}, **environ)
    return base, load_fleet(base)
