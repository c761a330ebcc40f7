"""Which versions run here, and whether they are the ones that the package asks for."""

import platform
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from pipeline_v6_dagster import __version__
from pipeline_v6_dagster.shadow.pipeline import ENGINE_VERSION

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "pipeline_v6_dagster"


def versions() -> dict[str, str]:
    """Package, engine, Python and every library that the package needs; `missing` where one is not there."""
    found = {PACKAGE: __version__, "engine": ENGINE_VERSION, "python": platform.python_version()}
    for requirement in _requirements():
        found[requirement.name] = _installed(requirement.name) or "missing"
    return found


def version_problems() -> tuple[str, ...]:
    """One line for every library that is not there or not of a version that the package asks for."""
    problems = []
    for requirement in _requirements():
        installed = _installed(requirement.name)
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            problems.append(
                f"{requirement.name} {installed or 'is missing'}: {requirement.specifier or 'any version'} is needed;"
                " run make again, it installs what requirements.lock names"
            )
    return tuple(problems)


def _requirements() -> "list[Requirement]":
    from packaging.requirements import Requirement

    try:
        stated = requires(PACKAGE) or []
    except PackageNotFoundError:
        return []
    found = map(Requirement, stated)
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
